package payments_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// till is an acquirer that says what a test tells it to.
type till struct {
	mu      sync.Mutex
	says    map[string]payments.Observation // by our order number
	started string                          // the order number of the newest checkout
	away    bool
}

func (p *till) Describe() payments.Description {
	return payments.Description{Name: "Till", Refunds: true, Partial: true, Credentials: []payments.Credential{{Key: "key", Label: "Key", Secret: true}}}
}

func (p *till) Start(_ context.Context, _ payments.Connection, o payments.Order) (payments.Checkout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = o.Reference
	return payments.Checkout{URL: "https://till.example/" + o.Reference, ProviderRef: "T-" + o.Reference}, nil
}

func (p *till) Look(_ context.Context, _ payments.Connection, o payments.Order) (payments.Observation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, ok := p.says[o.Reference]
	switch {
	case p.away:
		return payments.Observation{}, payments.ErrUnavailable
	case !ok:
		return payments.Observation{}, payments.ErrNothingNew
	}
	seen.Reference, seen.ProviderRef = o.Reference, "T-"+o.Reference
	return seen, nil
}

func (p *till) Hear(payments.Connection, payments.Notice) (payments.Heard, error) {
	return payments.Heard{}, payments.ErrNotice
}

func (p *till) Check(context.Context, payments.Connection) error { return nil }

// shop is a tenant whose acquirer is a till, with a clock of its own.
type shop struct {
	*testing.T
	*payments.Service
	f    *tenantstest.Fixture
	id   tenants.ID
	till *till
	now  time.Time
	by   payments.By
}

func newShop(t *testing.T) *shop {
	f := tenantstest.DB(t)
	s := &shop{T: t, f: f, id: tenantstest.Tenant(t, f, "bitrix24", "acme"), till: &till{says: map[string]payments.Observation{}},
		now: time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC), by: payments.By{Actor: "user:1", Role: tenants.Admin}}
	s.Service = &payments.Service{DB: f.DB, Providers: map[string]payments.Provider{"till": s.till}, PublicURL: "https://pay.example",
		Now: func() time.Time { return s.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	require.NoError(t, s.Connect(t.Context(), s.id, s.by, "till", map[string]string{"key": "k"}, false))
	return s
}

func (s *shop) in(fn func(ctx context.Context, tx *tenants.Tx) error) {
	s.Helper()
	require.NoError(s, s.DB.In(s.Context(), s.id, fn))
}

// invoice makes an invoice of these minor units of dram in a deal.
func (s *shop) invoice(deal string, minor int64) payments.Invoice {
	s.Helper()
	in, err := s.Create(s.Context(), s.id, s.by, payments.NewInvoice{DealID: deal, Terms: payments.Terms{Amount: amd(minor), Purpose: "Order " + deal,
		ExpiresAt: s.now.Add(72 * time.Hour)}})
	require.NoError(s, err)
	return in
}

// try opens an attempt on an invoice and returns it.
func (s *shop) try(in payments.Invoice) payments.Attempt {
	s.Helper()
	_, err := s.Pay(s.Context(), s.id, in.ID, "token", "till", "en")
	require.NoError(s, err)
	var all []payments.Attempt
	s.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Attempts(ctx, tx, in.ID)
		return err
	})
	return all[len(all)-1]
}

// tell makes the till say something of an attempt.
func (s *shop) tell(a payments.Attempt, o payments.Observation) {
	s.till.mu.Lock()
	defer s.till.mu.Unlock()
	s.till.says[a.Reference] = o
}

// learn makes the till say something of an attempt, and has us ask.
func (s *shop) learn(a payments.Attempt, o payments.Observation) {
	s.Helper()
	s.tell(a, o)
	_, err := s.Check(s.Context(), s.id, a.ID)
	require.NoError(s, err)
}

// sold is an invoice that was paid, with its attempt.
func (s *shop) sold(deal string, minor int64) (payments.Invoice, payments.Attempt) {
	s.Helper()
	in := s.invoice(deal, minor)
	a := s.try(in)
	s.learn(a, took(amd(minor)))
	return s.read(in.ID), a
}

func (s *shop) read(id uuid.UUID) (in payments.Invoice) {
	s.Helper()
	s.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		in, err = payments.Get(ctx, tx, id)
		return err
	})
	return in
}

func amd(minor int64) payments.Money { return payments.Money{Minor: minor, Currency: "AMD"} }

func usd(minor int64) payments.Money { return payments.Money{Minor: minor, Currency: "USD"} }

func took(m payments.Money) payments.Observation {
	return payments.Observation{Status: state.AttemptPaid, Captured: m}
}

func back(taken, refunded payments.Money) payments.Observation {
	o := took(taken)
	o.Refunded = refunded
	return o
}
