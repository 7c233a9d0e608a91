// Package telcell speaks the Telcell Wallet shop gateway (developer.telcell.am, "Shop gateway": invoices, result
// notification, status request, cancellation of a paid invoice).
//
// There are two ways to begin. An invoice that we create names a buyer and has a number at once; a form that the
// customer's browser posts needs no buyer. The connection's buyer decides. Either way the checksums are MD5 over the key
// and the values without separators, so that digits can move between neighbours: every field has a strict form, the
// order must be a stored one, and what is paid is asked for with check_bill.
//
// Not public are the list of statuses (annex A), the replies to what is refused, which text the checksum of an answer
// covers (it is not checked: TLS and the comparison of fields stand for it), and what [Config] says of itself.
package telcell

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "telcell"

// Config says where the gateway is and holds what is not confirmed. The zero value means the defaults.
type Config struct {
	TestURL string // "https://telcellmoney.am/proto_test2/invoices"; some shops were told to test on the live one
	LiveURL string // "https://telcellmoney.am/invoices"
	PageURL string // where an invoice is paid; "https://telcellmoney.am/payments/invoice/"
	// NeedsInvoice says that check_bill does not find an invoice by issuer_id alone. Then a lost answer to Start may
	// leave a second invoice behind, and what was begun by form is known only through its callback's number.
	NeedsInvoice bool
	// PartialRefunds turns refund_bill on. RefundedLine names the line of check_bill with all that went back, without
	// which nobody sees such a refund; "refunded_sum".
	PartialRefunds bool
	RefundedLine   string
	MaxDays        int                            // longest life of an invoice; 30
	Statuses       map[string]state.AttemptStatus // by Telcell's word; see statuses
	// Refusals says what a reply means that is neither a number nor lines, by its whole text. Empty: HTTP 401 and 403
	// are bad credentials, and any other text refuses a start and proves nothing else.
	Refusals map[string]error
	Now      func() time.Time // time.Now
}

// partly is the word for money of which nobody says how much it is: paid with nothing captured sends it to a person.
const partly = "PARTIALLY_PAID"

// statuses are the words that integrators have seen.
var statuses = map[string]state.AttemptStatus{
	"NEW": state.Pending, "PAID": state.AttemptPaid, partly: state.AttemptPaid, "REJECTED": state.AttemptFailed,
	"EXPIRED": state.AttemptExpired, "CANCELED": state.AttemptCancelled, "CANCELED FOR REPEAT": state.AttemptCancelled,
}

// Provider implements payments.Provider, payments.Refunder and payments.Canceller. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	cfg.TestURL = cmp.Or(cfg.TestURL, "https://telcellmoney.am/proto_test2/invoices")
	cfg.LiveURL = cmp.Or(cfg.LiveURL, "https://telcellmoney.am/invoices")
	cfg.PageURL = cmp.Or(cfg.PageURL, "https://telcellmoney.am/payments/invoice/")
	cfg.RefundedLine = cmp.Or(cfg.RefundedLine, "refunded_sum")
	cfg.MaxDays = cmp.Or(cfg.MaxDays, 30)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Statuses) == 0 {
		cfg.Statuses = statuses
	}
	return &Provider{cfg}
}

// Describe says what the wallet can do and asks for what it gives its shops.
func (p *Provider) Describe() payments.Description {
	d := payments.Description{
		Name: "Telcell Wallet", Currencies: []string{"AMD"}, WholeUnits: true, Refunds: true, Partial: p.cfg.PartialRefunds, Notices: true,
		Credentials: []payments.Credential{
			{Key: "issuer", Label: "Shop id (an e-mail)"},
			{Key: "shop_key", Label: "Shop key", Secret: true},
			{Key: "mode", Label: "Mode (test or live)", Default: "test"},
			{Key: "buyer", Label: "Buyer that invoices are made out to; empty: the customer's browser posts a form", Optional: true},
			{Key: "callback", Label: "Callback checksum (plain or buyer)", Optional: true, Default: "plain"},
		},
	}
	for _, base := range []string{p.cfg.TestURL, p.cfg.LiveURL} {
		if u, err := url.Parse(base); err == nil && !slices.Contains(d.Hosts, u.Host) {
			d.Hosts = append(d.Hosts, u.Host)
		}
	}
	return d
}

// gateway is the address for this connection; only the word "live" leads to live money.
func (p *Provider) gateway(c payments.Connection) string {
	address := p.cfg.TestURL
	if c.Credentials["mode"] == "live" {
		address = p.cfg.LiveURL
	}
	return address
}

// whole writes an amount of dram without decimals; false when it has a fraction or is no dram.
func whole(m payments.Money) (string, bool) {
	text, isWhole := strings.CutSuffix(m.Decimal(), ".00")
	return text, isWhole && m.Valid() && m.Currency == "AMD"
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Start creates an invoice, or the form that creates one. An invoice that is already there for the order is taken up
// again; so is one that is over, which is ErrStarted.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	price, ok := whole(o.Amount)
	if !ok || !wire.Plain(o.Reference) {
		return payments.Checkout{}, fmt.Errorf("%w: telcell: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	if c.Credentials["issuer"] == "" || c.Credentials["shop_key"] == "" {
		return payments.Checkout{}, fmt.Errorf("%w: telcell: no shop id or key", payments.ErrCredentials)
	}
	days, deadline := p.life(o.Deadline)
	if c.Credentials["buyer"] == "" {
		return payments.Checkout{URL: p.gateway(c), Form: p.form(c, o, price, days), Deadline: deadline}, nil
	}
	known, err := p.existing(ctx, c, o)
	if err == nil && known == "" {
		known, err = p.create(ctx, c, o, days)
	}
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("telcell: start: %w", err)
	}
	page := p.cfg.PageURL + "?" + url.Values{"invoice": {known}, "return_url": {o.ReturnURL}}.Encode()
	return payments.Checkout{URL: page, ProviderRef: known, Deadline: deadline}, nil
}

// life is how many days an invoice lives, and until when.
func (p *Provider) life(deadline time.Time) (days string, until time.Time) {
	const day = 24 * time.Hour
	now, n := p.cfg.Now(), 1
	if left := deadline.Sub(now); !deadline.IsZero() && left > day {
		n = min(p.cfg.MaxDays, int((left+day-1)/day))
	}
	return strconv.Itoa(n), now.Add(time.Duration(n) * day)
}

// existing is the number of the order's open invoice, empty when there is none. Without this question a start whose
// answer was lost would leave two invoices in the buyer's wallet.
func (p *Provider) existing(ctx context.Context, c payments.Connection, o payments.Order) (string, error) {
	if p.cfg.NeedsInvoice {
		return "", nil
	}
	b, err := p.check(ctx, c, payments.Order{Reference: o.Reference})
	switch {
	case errors.Is(err, payments.ErrNothingNew):
		return "", nil
	case err != nil:
		return "", err
	case p.cfg.Statuses[b.status] != state.Pending || !number.MatchString(b.invoice):
		return "", fmt.Errorf("%w: the invoice is %q", payments.ErrStarted, b.status)
	case b.reference != o.Reference || b.sum != o.Amount:
		return "", fmt.Errorf("%w: the invoice is for something else", payments.ErrRefused)
	}
	return b.invoice, nil
}

// create makes the invoice (Shop gateway, "Creating an invoice"). Its reply is the bare number.
func (p *Provider) create(ctx context.Context, c payments.Connection, o payments.Order, days string) (string, error) {
	issuer, buyer, sum := c.Credentials["issuer"], c.Credentials["buyer"], o.Amount.Decimal()
	description, reference := encoded(cmp.Or(o.Description, o.Reference)), encoded(o.Reference)
	reply, err := p.call(ctx, c, "bill", url.Values{"buyer": {buyer}, "currency": {"51"}, "sum": {sum}, "description": {description},
		"issuer_id": {reference}, "valid_days": {days}}, payments.ErrUnavailable, issuer, buyer, "51", sum, description, days, reference)
	if err != nil {
		return "", err
	}
	if text := strings.TrimSpace(reply); number.MatchString(text) {
		return text, nil
	}
	return "", p.refusal(reply, payments.ErrRefused)
}

// dram is the sign that the form names the currency by.
const dram = "֏"

// form are the fields that the browser posts (Shop gateway, "Web form", PostInvoice).
func (p *Provider) form(c payments.Connection, o payments.Order, price, days string) map[string]string {
	lang := map[string]string{"hy": "am", "ru": "ru"}
	f := map[string]string{"action": "PostInvoice", "issuer": c.Credentials["issuer"], "currency": dram, "price": price,
		"product": encoded(cmp.Or(o.Description, o.Reference)), "issuer_id": encoded(o.Reference), "valid_days": days,
		"lang": cmp.Or(lang[o.Language], "en")}
	f["security_code"] = checksum(c, f["issuer"], f["currency"], f["price"], f["product"], f["issuer_id"], f["valid_days"])
	return f
}

// Check asks for an invoice that cannot exist. Whether a wrong key is told from that depends on Config.Refusals.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	if c.Credentials["issuer"] == "" || c.Credentials["shop_key"] == "" {
		return fmt.Errorf("%w: telcell: no shop id or key", payments.ErrCredentials)
	}
	_, err := p.check(ctx, c, payments.Order{ProviderRef: "0"})
	if err == nil || errors.Is(err, payments.ErrNothingNew) {
		return nil
	}
	return fmt.Errorf("telcell: check: %w", err)
}

// CancelCheckout closes an unpaid invoice (clear_bill). ErrRefused when it is not unpaid any more.
func (p *Provider) CancelCheckout(ctx context.Context, c payments.Connection, o payments.Order) error {
	if !wire.Plain(o.Reference) {
		return fmt.Errorf("%w: telcell: no order", payments.ErrRefused)
	}
	reference := encoded(o.Reference)
	reply, err := p.call(ctx, c, "clear_bill", url.Values{"issuer_id": {reference}}, payments.ErrUnavailable, c.Credentials["issuer"], reference)
	if err != nil {
		return fmt.Errorf("telcell: cancel: %w", err)
	}
	if b, ok := parseBill(reply, ""); ok && p.cfg.Statuses[b.status] == state.AttemptCancelled {
		return nil
	}
	return fmt.Errorf("telcell: cancel: %w", p.refusal(reply, payments.ErrRefused))
}

// Refund gives money back: all of it by cancel_bill, a part by refund_bill where that is on. There is no idempotency key,
// so id is not sent; the invoice is looked at first, and what is unclear afterwards is ErrUnknown.
func (p *Provider) Refund(ctx context.Context, c payments.Connection, o payments.Order, _ string, amount payments.Money) error {
	b, err := p.check(ctx, c, o)
	if errors.Is(err, payments.ErrNothingNew) {
		err = payments.ErrRefused
	}
	if err != nil {
		return fmt.Errorf("telcell: refund: find the invoice: %w", err)
	}
	part, isWhole := whole(amount)
	all := amount == b.sum && b.refunded == 0
	if !isWhole || b.status != "PAID" || b.reference != o.Reference || amount.Minor > b.sum.Minor-b.refunded || (!all && !p.cfg.PartialRefunds) {
		return fmt.Errorf("%w: telcell: refund: %s of %s, which is %s", payments.ErrRefused, amount, b.sum, b.status)
	}
	issuer, reference := c.Credentials["issuer"], encoded(o.Reference)
	form := url.Values{"invoice": {b.invoice}, "issuer_id": {reference}}
	operation, signed := "cancel_bill", []string{issuer, b.invoice, reference}
	if !all {
		operation, signed = "refund_bill", append(signed, part)
		form.Set("refund_sum", part)
	}
	reply, err := p.call(ctx, c, operation, form, payments.ErrUnknown, signed...)
	if err != nil {
		return fmt.Errorf("telcell: refund: %w", err)
	}
	after, ok := parseBill(reply, p.cfg.RefundedLine)
	if ok && (p.cfg.Statuses[after.status] == state.AttemptCancelled || (!all && after.refunded == b.refunded+amount.Minor)) {
		return nil
	}
	return fmt.Errorf("telcell: refund: %w", p.refusal(reply, payments.ErrUnknown))
}
