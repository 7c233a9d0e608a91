// Package idram speaks the Idram wallet's merchant interface (Idram "Merchant interface description", 2025-10-16). The
// customer's browser posts a form; Idram then calls one address of the merchant twice: before it takes money (precheck,
// unsigned) and after (confirmation, with an MD5 checksum). Our answer decides whether the money stays. There is no
// status call, no refund and no sandbox of another address.
package idram

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "idram"

// Config holds what the description does not confirm. The zero value means the defaults.
type Config struct {
	// PayURL takes the customer's form: "https://banking.idram.am/Payment/GetPayment". Older texts have
	// "https://web.idram.am/payment.aspx". Tests are said to use the same address with a test account.
	PayURL string
}

// Provider implements payments.Provider, payments.Teller, payments.Prechecker and payments.Replier. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	cfg.PayURL = cmp.Or(cfg.PayURL, "https://banking.idram.am/Payment/GetPayment")
	return &Provider{cfg}
}

// Describe says what Idram can do. Its staff sets the merchant's RESULT_URL to our notice address; it belongs to the
// account, not to a payment, and so do SUCCESS_URL and FAIL_URL.
func (p *Provider) Describe() payments.Description {
	host := ""
	if u, err := url.Parse(p.cfg.PayURL); err == nil {
		host = u.Host
	}
	return payments.Description{
		Name: "Idram", Currencies: []string{"AMD"}, Notices: true, Hosts: []string{host},
		Credentials: []payments.Credential{
			{Key: "account", Label: "Idram merchant id (EDP_REC_ACCOUNT)"},
			{Key: "secret", Label: "SECRET_KEY", Secret: true},
		},
	}
}

// Check looks at the form of the credentials; Idram offers nothing to try them on. Error: ErrCredentials.
func (p *Provider) Check(_ context.Context, c payments.Connection) error {
	if !number(c.Credentials["account"]) || c.Credentials["secret"] == "" {
		return fmt.Errorf("%w: idram: the account is digits, the secret is not empty", payments.ErrCredentials)
	}
	return nil
}

// Start makes the form that the customer's browser posts. It asks Idram nothing, so it is the same each time; what
// expires or is cancelled is enforced when Idram asks before it takes money.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	if err := p.Check(ctx, c); err != nil {
		return payments.Checkout{}, err
	}
	if !o.Amount.Valid() || o.Amount.Currency != "AMD" || !part(o.Reference) {
		return payments.Checkout{}, fmt.Errorf("%w: idram: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	return payments.Checkout{URL: p.cfg.PayURL, Form: map[string]string{
		"EDP_LANGUAGE": language(o.Language), "EDP_REC_ACCOUNT": c.Credentials["account"], "EDP_DESCRIPTION": o.Description,
		"EDP_AMOUNT": o.Amount.Decimal(), "EDP_BILL_NO": o.Reference}}, nil
}

func language(lang string) string {
	switch lang {
	case "hy":
		return "AM"
	case "ru":
		return "RU"
	}
	return "EN"
}

// Look knows nothing: there is no status call. What happened is told by the confirmation, see Tell.
func (p *Provider) Look(context.Context, payments.Connection, payments.Order) (payments.Observation, error) {
	return payments.Observation{}, fmt.Errorf("%w: Idram has no status call", payments.ErrNothingNew)
}

// number says whether s is an account at Idram.
func number(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// part says whether s can stand between the colons of a checksum without moving them.
func part(s string) bool { return wire.Plain(s) && !strings.Contains(s, ":") }
