// Package fastshift speaks Pay by FastShift (vendor document "Pay by FastShift", version 1.0). Its notices are not
// signed: one is a hint to ask for the order's status, and nothing else. There is no refund and no cancellation.
//
// FastShift lets in only addresses and domains that it knows, so HTTP 403 may be about where we call from.
package fastshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "fastshift"

// Config says where FastShift is and holds what is not confirmed. The zero value means the defaults.
type Config struct {
	BaseURL   string   // documented: "https://merchants.fastshift.am/api/en/", for tests too; the token decides
	PageHosts []string // hosts, with those under them, that a checkout may lie on beside the API's own; "fastshift.am"
	// Decimals of the amount, an unsigned integer: 0 if it counts dram, 2 if hundredths.
	Decimals int
	Statuses map[string]state.AttemptStatus // by FastShift's word; see statuses
	Zone     *time.Location                 // of its times, which carry none and are only shown; UTC+4
	Window   time.Duration                  // in which equal hints about an order count once; 30 s
	Now      func() time.Time               // time.Now
}

// statuses are the documented words; any other proves nothing.
var statuses = map[string]state.AttemptStatus{"pending": state.Pending, "completed": state.AttemptPaid,
	"rejected": state.AttemptFailed, "expired": state.AttemptExpired}

const registerPath, statusPath = "vpos/order/register", "vpos/order/status/"

// nobody is an order that cannot exist.
const nobody = "00000000-0000-0000-0000-000000000000"

// Provider implements payments.Provider. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, "https://merchants.fastshift.am/api/en"), "/") + "/"
	cfg.Window = cmp.Or(cfg.Window, 30*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PageHosts == nil {
		cfg.PageHosts = []string{"fastshift.am"}
	}
	if cfg.Zone == nil {
		cfg.Zone = time.FixedZone("AMT", 4*60*60)
	}
	if cfg.Statuses == nil {
		cfg.Statuses = statuses
	}
	return &Provider{cfg}
}

// Describe says what FastShift can do and asks for the merchant's token.
func (p *Provider) Describe() payments.Description {
	d := payments.Description{Name: "FastShift", Currencies: []string{"AMD"}, WholeUnits: p.cfg.Decimals == 0, Notices: true,
		Credentials: []payments.Credential{{Key: "token", Label: "Merchant token", Secret: true}}}
	if base, err := url.Parse(p.cfg.BaseURL); err == nil {
		d.Hosts = []string{base.Host}
	}
	return d
}

// registration is the body of a new order. The payer is left out: no person is named to the acquirer.
type registration struct {
	OrderNumber string `json:"order_number"`
	Amount      int64  `json:"amount"`
	Description string `json:"description"`
	CallbackURL string `json:"callback_url"`
	WebhookURL  string `json:"webhook_url"`
	External    string `json:"external_order_id"`
}

// Start registers the order under the attempt's id, which must be a GUID. Whether a second registration gives the same
// page is not documented; where it is refused and the order is there, that is ErrStarted.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	units, ok := p.outward(o.Amount)
	if !ok || !guid.MatchString(o.Attempt) {
		return payments.Checkout{}, fmt.Errorf("%w: fastshift: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	got, err := p.call(ctx, c, http.MethodPost, registerPath, registration{OrderNumber: o.Attempt, Amount: units,
		Description: cmp.Or(o.Description, o.Reference), CallbackURL: o.ReturnURL, WebhookURL: o.NotifyURL, External: o.Reference})
	if errors.Is(err, payments.ErrRefused) {
		switch _, there := p.order(ctx, c, o.Attempt); {
		case there == nil:
			err = fmt.Errorf("%w: %w", payments.ErrStarted, err)
		case errors.Is(there, payments.ErrUnavailable): // perhaps the order is there
			err = there
		}
	}
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("fastshift: start: %w", err)
	}
	order := got.Data.Order
	amount, known := p.inward(order.Amount)
	switch {
	case !strings.EqualFold(string(order.Number), o.Attempt) || !known || amount != o.Amount || (order.External != "" && string(order.External) != o.Reference):
		return payments.Checkout{}, fmt.Errorf("%w: fastshift: start: the order is for something else", payments.ErrRefused)
	case !p.trusted(got.Data.Page):
		return payments.Checkout{}, fmt.Errorf("%w: fastshift: start: the checkout is on a foreign host", payments.ErrRefused)
	}
	return payments.Checkout{URL: got.Data.Page, ProviderRef: o.Attempt, Deadline: p.deadline(order)}, nil
}

// deadline is when the page closes on our clock: the times have no zone, but what lies between them needs none.
func (p *Provider) deadline(o order) time.Time {
	from, to := p.time(o.Created), p.time(o.Expires)
	if from.IsZero() || !to.After(from) {
		return time.Time{}
	}
	return p.cfg.Now().Add(to.Sub(from))
}

// trusted says whether a checkout URL is on one of FastShift's hosts, by the scheme of the API.
func (p *Provider) trusted(checkout string) bool {
	u, err := url.Parse(checkout)
	base, baseErr := url.Parse(p.cfg.BaseURL)
	return err == nil && baseErr == nil && u.User == nil && u.Scheme == base.Scheme &&
		slices.ContainsFunc(append([]string{base.Host}, p.cfg.PageHosts...), func(host string) bool {
			return u.Host == host || strings.HasSuffix(u.Host, "."+host)
		})
}

// Look asks for the order, by our attempt where the answer to Start was lost.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	number := cmp.Or(o.ProviderRef, o.Attempt)
	if !guid.MatchString(number) {
		return payments.Observation{}, fmt.Errorf("%w: fastshift: look: no order was registered", payments.ErrNothingNew)
	}
	seen, err := p.order(ctx, c, number)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("fastshift: look: %w", err)
	}
	obs := payments.Observation{Reference: string(seen.External), ProviderRef: strings.ToLower(string(seen.Number)),
		Code: string(seen.Status), Raw: seen.redacted()}
	status, known := p.cfg.Statuses[string(seen.Status)]
	if !known || seen.Number == "" {
		return obs, fmt.Errorf("%w: fastshift: status %q", payments.ErrUnclear, seen.Status)
	}
	amount, ok := p.inward(seen.Amount)
	if status == state.AttemptPaid && (!ok || amount.Minor == 0) {
		return obs, fmt.Errorf("%w: fastshift: paid, but the amount makes no sense", payments.ErrUnclear)
	}
	obs.Status = status
	obs.Foreign = !strings.EqualFold(string(seen.Number), number) || (o.Reference != "" && seen.External != "" && string(seen.External) != o.Reference)
	if status == state.AttemptPaid {
		obs.Captured, obs.PaidAt = amount, p.time(seen.Completed)
	}
	return obs, nil
}

// order reads one by its number. An answer without an order is ErrUnavailable.
func (p *Provider) order(ctx context.Context, c payments.Connection, number string) (order, error) {
	got, err := p.call(ctx, c, http.MethodGet, statusPath+number, nil)
	if err == nil && got.Data.Order.Number == "" && got.Data.Order.Status == "" {
		err = fmt.Errorf("%w: the answer has no order", payments.ErrUnavailable)
	}
	return got.Data.Order, err
}

// Check asks for an order that cannot exist: whoever may ask is told that it is not there.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	_, err := p.call(ctx, c, http.MethodGet, statusPath+nobody, nil)
	if err == nil || errors.Is(err, payments.ErrNothingNew) {
		return nil
	}
	return fmt.Errorf("fastshift: check: %w", err)
}

// Hear reads a hint. It is never authentic. Equal hints about an order within the window have one Key, so that a flood
// asks rarely, and a forged hint that came early does not shut out the genuine one.
func (p *Provider) Hear(_ payments.Connection, n payments.Notice) (payments.Heard, error) {
	number, status, ok := hint(n)
	if !ok {
		return payments.Heard{}, fmt.Errorf("%w: fastshift: it names no order", payments.ErrNotice)
	}
	at := n.ReceivedAt
	if at.IsZero() {
		at = p.cfg.Now()
	}
	if _, known := p.cfg.Statuses[status]; !known || !wire.Plain(status) {
		status = "other"
	}
	return payments.Heard{ProviderRef: number, Key: fmt.Sprintf("%s %s %d", number, status, at.UnixNano()/int64(p.cfg.Window))}, nil
}
