// Package tilltest is a tenant with an acquirer that says what a test tells it to, on a real database: for tests of what
// follows from an acquirer's answers. How acquirers speak is tested in their own folders.
package tilltest

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

// Till is the acquirer. It is connected as "till".
type Till struct {
	mu    sync.Mutex
	says  map[string]payments.Observation // by our order number
	fails error                           // every question
}

// Describe lets the till take any currency.
func (p *Till) Describe() payments.Description {
	return payments.Description{Name: "Till", Refunds: true, Partial: true, Credentials: []payments.Credential{{Key: "key", Label: "Key", Secret: true}}}
}

// Start opens a checkout that nobody can visit.
func (p *Till) Start(_ context.Context, _ payments.Connection, o payments.Order) (payments.Checkout, error) {
	return payments.Checkout{URL: "https://till.example/" + o.Reference, ProviderRef: "T-" + o.Reference}, nil
}

// Look says what it was told to say.
func (p *Till) Look(_ context.Context, _ payments.Connection, o payments.Order) (payments.Observation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, ok := p.says[o.Reference]
	switch {
	case p.fails != nil:
		return payments.Observation{}, p.fails
	case !ok:
		return payments.Observation{}, payments.ErrNothingNew
	}
	seen.Reference, seen.ProviderRef = o.Reference, "T-"+o.Reference
	return seen, nil
}

// Hear knows no notices.
func (p *Till) Hear(payments.Connection, payments.Notice) (payments.Heard, error) {
	return payments.Heard{}, payments.ErrNotice
}

// Check accepts all credentials.
func (p *Till) Check(context.Context, payments.Connection) error { return nil }

// Fail makes every question fail with err; nil lets the till answer again.
func (p *Till) Fail(err error) {
	p.mu.Lock()
	p.fails = err
	p.mu.Unlock()
}

// Shop is the tenant, with a clock of its own and an administrator.
type Shop struct {
	*testing.T
	*payments.Service
	Fixture *tenantstest.Fixture
	ID      tenants.ID
	Till    *Till
	Clock   time.Time // what Now says
	By      payments.By
}

// New makes a shop of Bitrix24 in the morning of 10 March 2026.
func New(t *testing.T) *Shop {
	t.Helper()
	f := tenantstest.DB(t)
	s := &Shop{T: t, Fixture: f, ID: tenantstest.Tenant(t, f, "bitrix24", "acme"), Till: &Till{says: map[string]payments.Observation{}},
		Clock: time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC), By: payments.By{Actor: "user:1", Role: tenants.Admin}}
	s.Service = &payments.Service{DB: f.DB, Providers: map[string]payments.Provider{"till": s.Till}, PublicURL: "https://pay.example",
		Now: func() time.Time { return s.Clock }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "k"}, false))
	return s
}

// In runs fn in a transaction of the tenant.
func (s *Shop) In(fn func(ctx context.Context, tx *tenants.Tx) error) {
	s.Helper()
	require.NoError(s, s.DB.In(s.Context(), s.ID, fn))
}

// Invoice makes an invoice of these minor units of dram in a deal.
func (s *Shop) Invoice(deal string, minor int64) payments.Invoice {
	s.Helper()
	in, err := s.Create(s.Context(), s.ID, s.By, payments.NewInvoice{DealID: deal, Customer: "contact " + deal, Terms: payments.Terms{Amount: AMD(minor), Purpose: "Order " + deal,
		ExpiresAt: s.Now().Add(72 * time.Hour)}})
	require.NoError(s, err)
	return in
}

// Try opens an attempt on an invoice and returns it.
func (s *Shop) Try(in payments.Invoice) payments.Attempt {
	s.Helper()
	_, err := s.Pay(s.Context(), s.ID, in.ID, "token", "till", "en")
	require.NoError(s, err)
	var all []payments.Attempt
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Attempts(ctx, tx, in.ID)
		return err
	})
	return all[len(all)-1]
}

// Tell makes the till say something of an attempt.
func (s *Shop) Tell(a payments.Attempt, o payments.Observation) {
	s.Till.mu.Lock()
	defer s.Till.mu.Unlock()
	s.Till.says[a.Reference] = o
}

// Learn makes the till say something of an attempt, and has us ask.
func (s *Shop) Learn(a payments.Attempt, o payments.Observation) {
	s.Helper()
	s.Tell(a, o)
	_, err := s.Check(s.Context(), s.ID, a.ID)
	require.NoError(s, err)
}

// Sold is an invoice that was paid, with its attempt.
func (s *Shop) Sold(deal string, minor int64) (payments.Invoice, payments.Attempt) {
	s.Helper()
	in := s.Invoice(deal, minor)
	a := s.Try(in)
	s.Learn(a, Took(AMD(minor)))
	return s.Read(in.ID), a
}

// Read reads an invoice.
func (s *Shop) Read(id uuid.UUID) (in payments.Invoice) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		in, err = payments.Get(ctx, tx, id)
		return err
	})
	return in
}

// AMD is an amount in dram.
func AMD(minor int64) payments.Money { return payments.Money{Minor: minor, Currency: "AMD"} }

// USD is an amount in dollars.
func USD(minor int64) payments.Money { return payments.Money{Minor: minor, Currency: "USD"} }

// Took is an answer that money was taken.
func Took(m payments.Money) payments.Observation {
	return payments.Observation{Status: state.AttemptPaid, Captured: m}
}

// Back is an answer that money was taken and so much of it went back.
func Back(taken, refunded payments.Money) payments.Observation {
	o := Took(taken)
	o.Refunded = refunded
	return o
}
