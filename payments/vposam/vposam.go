// Package vposam speaks the VPOS.am Public Merchant API (VPOS.am Developers, "Public API"; OpenAPI 0.1.0).
//
// Public are the server, the creation of a payment session with its request fields, the capability matrix, the health
// route and the meaning of 401, 403 and 429. Not public are the path and the answer of the status look-up, the answer
// to a creation, refunds, the webhook's header and body, and how many decimals amountMinor has for AMD. Those are
// fields of [Config], with the defaults written there; an answer is read tolerantly, and what cannot be read proves
// nothing. Get them confirmed by VPOS.am before the first live amount.
package vposam

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
const Key = "vpos_am"

// Config holds what is not confirmed. The zero value means the defaults.
type Config struct {
	BaseURL   string   // documented: "https://api.vpos.am", for tests too; the token decides
	PageHosts []string // hosts, with those under them, that a checkout may lie on beside the API's own; "vpos.am"
	// Paths; {id} stands for the session.
	StatusPath string // "/v1/payment-sessions/{id}"
	RefundPath string // "/v1/payment-sessions/{id}/refunds"
	NoRefunds  bool   // the merchant's capability matrix has no refunds
	// The webhook: "t=<unix seconds>,v1=<hex of HMAC-SHA256 over t, a full stop and the body>".
	SignatureHeader    string        // "X-Vpos-Signature"
	SignatureTolerance time.Duration // 300 s, into the past and into the future
	// AmountExponents are the decimals of amountMinor by currency, where they are not those of state.Exponent.
	// {"AMD": 0} if 15000 turns out to mean 15,000 dram.
	AmountExponents map[string]int
	Currencies      []string                       // AMD, RUB, USD, EUR
	Statuses        map[string]state.AttemptStatus // by the API's word; see statuses
	Now             func() time.Time               // time.Now
}

// statuses are the words for a session's status that are understood; all others prove nothing.
var statuses = map[string]state.AttemptStatus{
	"created": state.Created, "new": state.Created,
	"pending": state.Pending, processing: state.Pending, "requires_action": state.Pending,
	"authorized": state.Authorized, "held": state.Authorized,
	"captured": state.AttemptPaid, "paid": state.AttemptPaid, "succeeded": state.AttemptPaid, "completed": state.AttemptPaid,
	"partially_refunded": state.AttemptPaid, "refunded": state.AttemptPaid, "disputed": state.AttemptPaid,
	"failed": state.AttemptFailed, "declined": state.AttemptFailed,
	"expired": state.AttemptExpired, "cancelled": state.AttemptCancelled, "canceled": state.AttemptCancelled,
}

const processing = "processing"

const createPath, capabilitiesPath = "/v1/payment-sessions", "/v1/capabilities"

// Provider implements payments.Provider. It keeps no state.
type Provider struct{ cfg Config }

// Refunding is a Provider whose merchants may refund by API.
type Refunding struct{ *Provider }

// New returns the provider; unless cfg.NoRefunds it is a payments.Refunder as well.
func New(cfg Config) payments.Provider {
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, "https://api.vpos.am"), "/")
	cfg.StatusPath = cmp.Or(cfg.StatusPath, createPath+"/{id}")
	cfg.RefundPath = cmp.Or(cfg.RefundPath, createPath+"/{id}/refunds")
	cfg.SignatureHeader = cmp.Or(cfg.SignatureHeader, "X-Vpos-Signature")
	cfg.SignatureTolerance = cmp.Or(cfg.SignatureTolerance, 300*time.Second)
	if cfg.PageHosts == nil {
		cfg.PageHosts = []string{"vpos.am"}
	}
	if cfg.Currencies == nil {
		cfg.Currencies = []string{"AMD", "RUB", "USD", "EUR"}
	}
	if cfg.Statuses == nil {
		cfg.Statuses = statuses
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Provider{cfg}
	if cfg.NoRefunds {
		return p
	}
	return Refunding{p}
}

// Describe says what VPOS.am can do and asks for the merchant's token and secrets.
func (p *Provider) Describe() payments.Description {
	host := ""
	if u, err := url.Parse(p.cfg.BaseURL); err == nil {
		host = u.Host
	}
	exp, coarse := p.cfg.AmountExponents["AMD"]
	return payments.Description{
		Name: "VPOS.am", Currencies: p.cfg.Currencies, WholeUnits: coarse && exp == 0,
		Refunds: !p.cfg.NoRefunds, Partial: !p.cfg.NoRefunds, Disputes: true, Notices: true, Hosts: []string{host},
		Credentials: []payments.Credential{
			{Key: "token", Label: "Merchant API token", Secret: true},
			{Key: "webhook_secret", Label: "Webhook secret", Secret: true},
			{Key: "provider", Label: "Provider (as in the capability matrix)", Optional: true},
			{Key: "merchant_id", Label: "Merchant id", Optional: true},
		},
	}
}

// creation is the documented body of POST /v1/payment-sessions. The customer is left out: no person is named to the
// acquirer. Metadata is free.
type creation struct {
	MerchantOrderID string            `json:"merchantOrderId"`
	AmountMinor     int64             `json:"amountMinor"`
	Currency        string            `json:"currency"`
	Provider        string            `json:"provider,omitempty"`
	ReturnURL       string            `json:"returnUrl"`
	Metadata        map[string]string `json:"metadata"`
}

// Start opens a session. The attempt id is the Idempotency-Key, so repeating after ErrUnavailable is safe. An order
// number that another key already opened is ErrRefused: that session is not ours to send a customer to.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	minor, ok := p.outward(o.Amount)
	if !o.Amount.Valid() || !ok {
		return payments.Checkout{}, fmt.Errorf("%w: vposam: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	answer, err := p.call(ctx, c, http.MethodPost, createPath, o.Attempt, creation{
		MerchantOrderID: o.Reference, AmountMinor: minor, Currency: o.Amount.Currency,
		Provider: c.Credentials["provider"], ReturnURL: o.ReturnURL,
		Metadata: map[string]string{"attempt": o.Attempt, "description": o.Description, "language": o.Language, "webhookUrl": o.NotifyURL},
	})
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("vposam: start: %w", err)
	}
	s, err := parseSession(answer)
	if err != nil || !wire.Plain(s.ID) {
		return payments.Checkout{}, fmt.Errorf("%w: vposam: start: the answer names no session", payments.ErrUnavailable)
	}
	if (s.Order != "" && s.Order != o.Reference) || (s.Currency != "" && s.Currency != o.Amount.Currency) ||
		(s.Amount != nil && *s.Amount != minor) {
		return payments.Checkout{}, fmt.Errorf("%w: vposam: start: the session is for something else", payments.ErrRefused)
	}
	if !p.trusted(s.checkout) {
		return payments.Checkout{}, fmt.Errorf("%w: vposam: start: the checkout is on a foreign host", payments.ErrRefused)
	}
	return payments.Checkout{URL: s.checkout, ProviderRef: s.ID, Deadline: s.ExpiresAt}, nil
}

// trusted says whether a checkout URL is on one of VPOS.am's hosts, by the scheme of the API.
func (p *Provider) trusted(checkout string) bool {
	u, err := url.Parse(checkout)
	base, baseErr := url.Parse(p.cfg.BaseURL)
	if err != nil || baseErr != nil || u.Scheme != base.Scheme || u.User != nil {
		return false
	}
	if u.Host == base.Host {
		return true
	}
	return slices.ContainsFunc(p.cfg.PageHosts, func(host string) bool {
		return u.Host == host || strings.HasSuffix(u.Host, "."+host)
	})
}

// Check reads the capability matrix and, when a provider was named, looks for it there.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	answer, err := p.call(ctx, c, http.MethodGet, capabilitiesPath, "", nil)
	switch {
	case errors.Is(err, payments.ErrCredentials):
		return fmt.Errorf("vposam: check: %w", err)
	case err != nil: // whatever else is answered here is not the API we know
		return fmt.Errorf("%w: vposam: check: %w", payments.ErrUnavailable, err)
	}
	names, err := parseProviders(answer)
	if err != nil {
		return fmt.Errorf("%w: vposam: check: no capability matrix", payments.ErrUnavailable)
	}
	want := c.Credentials["provider"]
	if want == "" || len(names) == 0 || slices.Contains(names, want) {
		return nil
	}
	return fmt.Errorf("%w: vposam: provider %q is not enabled for this merchant", payments.ErrCredentials, want)
}

// Refund gives money back; id is the Idempotency-Key. Pending and unreadable answers are ErrUnknown.
func (r Refunding) Refund(ctx context.Context, c payments.Connection, o payments.Order, id string, amount payments.Money) error {
	minor, ok := r.outward(amount)
	if !amount.Valid() || !ok || !wire.Plain(o.ProviderRef) {
		return fmt.Errorf("%w: vposam: %s cannot be refunded", payments.ErrRefused, amount)
	}
	path := strings.ReplaceAll(r.cfg.RefundPath, "{id}", url.PathEscape(o.ProviderRef))
	answer, err := r.call(ctx, c, http.MethodPost, path, id, struct {
		AmountMinor int64  `json:"amountMinor"`
		Currency    string `json:"currency"`
	}{minor, amount.Currency})
	if err != nil {
		return fmt.Errorf("vposam: refund: %w", err)
	}
	s, err := parseSession(answer)
	switch {
	case err == nil && (s.Status == "succeeded" || s.Status == "refunded" || s.Status == "partially_refunded" || s.Status == "completed"):
		return nil
	case err == nil && (s.Status == "failed" || s.Status == "declined"):
		return fmt.Errorf("%w: vposam: refund: %s", payments.ErrRefused, s.Status)
	}
	return fmt.Errorf("%w: vposam: refund: the answer does not say", payments.ErrUnknown)
}
