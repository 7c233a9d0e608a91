package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
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

// check complains about addresses that cannot be an acquirer's.
func (a acquirerURLs) check(complain func(format string, args ...any)) {
	all := map[string]string{"AMERIA_TEST_URL": a.AmeriaTest, "AMERIA_LIVE_URL": a.AmeriaLive, "IDRAM_URL": a.Idram, "TELCELL_TEST_URL": a.TelcellTest,
		"TELCELL_LIVE_URL": a.TelcellLive, "TELCELL_PAGE_URL": a.TelcellPage, "STRIPE_URL": a.Stripe, "FASTSHIFT_URL": a.FastShift}
	for name, base := range a.Arca {
		all["ARCA_GATEWAYS "+name] = base
	}
	for name, base := range all {
		if u, err := url.Parse(base); base != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && !loopback(u))) {
			complain("%s is %q: expected an https address", name, base)
		}
	}
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
		return c, fmt.Errorf("configuration: %w", err)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	return c, c.check()
}

func (c config) check() error {
	var all []error
	complain := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if c.DatabaseURL == "" {
		complain("DATABASE_URL is missing: expected postgres://owner:password@host:port/database")
	}
	if c.RedisURL == "" {
		complain("REDIS_URL is missing: expected redis://:password@host:port/0")
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || (u.Scheme != "https" && !loopback(u)) || u.Path != "" {
		complain("PUBLIC_URL is %q: expected https://host without a path (plain http only for localhost)", c.PublicURL)
	}
	if _, err := tenants.NewSealer(string(c.Keyset)); err != nil {
		all = append(all, err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		complain("LOG_LEVEL is %q: expected debug, info, warn or error", c.LogLevel)
	}
	if c.Concurrency < 1 || c.Concurrency > 1000 {
		complain("WORK_CONCURRENCY is %d: expected 1 to 1000", c.Concurrency)
	}
	if c.DBConns < 2 || c.DBConns > 1000 {
		complain("DATABASE_CONNS is %d: expected 2 to 1000", c.DBConns)
	}
	if _, err := egress.Parse(c.CRMHosts); err != nil {
		complain("CRM_HOST_SUFFIXES: %v", err)
	}
	apps := map[string]oauthApp{"BITRIX24": c.Bitrix24, "AMOCRM": c.AmoCRM, "KOMMO": c.Kommo}
	for name, app := range apps {
		if (app.ClientID == "") != (app.ClientSecret == "") {
			complain("%s_CLIENT_ID and %s_CLIENT_SECRET belong together: one of them is missing", name, name)
		}
	}
	if u, err := url.Parse(c.VposAmURL); err != nil || u.Host == "" {
		complain("VPOS_AM_URL is %q: expected https://host", c.VposAmURL)
	}
	c.Acquirers.check(complain)
	return errors.Join(all...)
}

func loopback(u *url.URL) bool {
	host := u.Hostname()
	return host == "localhost" || host == "127.0.0.1" || strings.HasSuffix(host, ".localhost")
}
