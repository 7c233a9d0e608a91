package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/dealpay/dealpay/tenants"
)

// config is everything the program reads from its environment.
type config struct {
	DatabaseURL string         `env:"DATABASE_URL"` // PostgreSQL, as the owner role; connections then act as the app's role
	RedisURL    string         `env:"REDIS_URL"`    // Redis 6 or newer
	PublicURL   string         `env:"PUBLIC_URL"`   // where browsers, CRMs and acquirers reach this deployment, without trailing slash
	ListenAddr  string         `env:"LISTEN_ADDR"     envDefault:"127.0.0.1:8080"`
	Keyset      tenants.Secret `env:"SECRET_KEYSET"` // base64 of a Tink keyset; dealpay rotate-keys makes one
	LogLevel    string         `env:"LOG_LEVEL"       envDefault:"info"`
	Concurrency int            `env:"WORK_CONCURRENCY" envDefault:"64"` // checks that one worker makes at once, and as many lanes of each CRM
	DBConns     int            `env:"DATABASE_CONNS"  envDefault:"24"`
	Egress      string         `env:"EGRESS_ADDRESS"  envDefault:"default"` // label of the outgoing address; workers behind one address share it

	CRMHosts []string `env:"CRM_HOST_SUFFIXES" envDefault:"bitrix24.com,bitrix24.ru,bitrix24.by,bitrix24.kz,bitrix24.eu,bitrix24.de,bitrix24.fr,bitrix24.es,bitrix24.it,bitrix24.pl,bitrix24.in,bitrix24.com.br,bitrix24.com.tr,bitrix24.mx,bitrix24.ua,bitrix24.vn,bitrix24.id,bitrix24.cn,bitrix24.jp,bitrix24.tech,oauth.bitrix.info,amocrm.ru,amocrm.com,kommo.com"`

	Bitrix24 oauthApp `envPrefix:"BITRIX24_"`
	AmoCRM   oauthApp `envPrefix:"AMOCRM_"`
	Kommo    oauthApp `envPrefix:"KOMMO_"`

	StrictTokens bool `env:"AMO_STRICT_TOKENS" envDefault:"true"` // refuse a one-time token of amoCRM or Kommo that was seen before

	VposAmURL string `env:"VPOS_AM_URL" envDefault:"https://api.vpos.am"`
	Acquirers acquirerURLs
}

// acquirerURLs are where the other acquirers are. Empty means their documented addresses.
type acquirerURLs struct {
	AmeriaTest  string            `env:"AMERIA_TEST_URL"`                      // https://servicestest.ameriabank.am/VPOS/
	AmeriaLive  string            `env:"AMERIA_LIVE_URL"`                      // https://services.ameriabank.am/VPOS/
	AmeriaFirst int64             `env:"AMERIA_ORDER_OFFSET"`                  // added to our order numbers, see payments/ameria
	AmeriaWrap  bool              `env:"AMERIA_TEST_WRAP"`                     // in test mode the bank's range of order numbers begins again
	Arca        map[string]string `env:"ARCA_GATEWAYS" envKeyValSeparator:"="` // name=base URL, …; all documented ones
	Idram       string            `env:"IDRAM_URL"`                            // https://banking.idram.am/Payment/GetPayment
	TelcellTest string            `env:"TELCELL_TEST_URL"`                     // https://telcellmoney.am/proto_test2/invoices
	TelcellLive string            `env:"TELCELL_LIVE_URL"`                     // https://telcellmoney.am/invoices
	TelcellPage string            `env:"TELCELL_PAGE_URL"`                     // https://telcellmoney.am/payments/invoice/
	Stripe      string            `env:"STRIPE_URL"`                           // https://api.stripe.com
	FastShift   string            `env:"FASTSHIFT_URL"`                        // https://merchants.fastshift.am/api/en/
}

// oauthApp is how one CRM's marketplace knows this deployment.
type oauthApp struct {
	ClientID     string         `env:"CLIENT_ID"`
	ClientSecret tenants.Secret `env:"CLIENT_SECRET"`
	OldSecret    tenants.Secret `env:"OLD_CLIENT_SECRET"` // still signs while the secret is being changed
	AuthURL      string         `env:"AUTH_URL"`          // authorization server; empty means the CRM's own
}

// readConfig reads and checks the environment; every complaint names the variable and what is expected.
func readConfig() (config, error) {
	c, err := env.ParseAs[config]()
	if err != nil {
		return c, unread(err)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	return c, c.check()
}

// unread names the variables that could not be read; the library names only fields of Go.
func unread(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return fmt.Errorf("configuration: %w", err)
	}
	var named []error
	for _, one := range all.Errors {
		var p env.ParseError
		if errors.As(one, &p) {
			name := variable(p.Name)
			one = fmt.Errorf("%s is %q: expected %s", name, os.Getenv(name), expected[p.Type.Kind()]) // no secret is of these kinds
		}
		named = append(named, one)
	}
	return errors.Join(named...)
}

// expected is what a variable holds, by the kind of its field.
var expected = map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Bool: "true or false",
	reflect.Map: "name=address, several of them with commas between"}

// variable is the name of a field's variable.
func variable(field string) string {
	for _, of := range []reflect.Type{reflect.TypeFor[config](), reflect.TypeFor[acquirerURLs]()} {
		if f, ok := of.FieldByName(field); ok {
			return f.Tag.Get("env")
		}
	}
	return field
}
