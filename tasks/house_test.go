package tasks_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

// house is one tenant with its payments, a CRM that the test looks into, and a clock that only the test moves.
type house struct {
	*testing.T
	f        *tenantstest.Fixture
	id       tenants.ID
	book     *book
	till     *till
	payments *payments.Service
	clock    atomic.Int64
	serial   atomic.Int64

	mu       sync.Mutex
	reminded []tenants.Reminder // by workers, at the end of a slice
	refused  error              // what connecting the account answers
	held     chan struct{}      // until it is closed, connecting any account but the first hangs
	hanging  int
}

var admin = payments.By{Actor: "user:1", Role: tenants.Admin}

func newHouse(t *testing.T) *house {
	h := &house{T: t, f: tenantstest.DB(t), book: newBook(), till: &till{}}
	h.clock.Store(time.Now().Truncate(time.Second).UnixNano())
	h.payments = &payments.Service{DB: h.f.DB, Providers: map[string]payments.Provider{"till": h.till}, PublicURL: "https://pay.example",
		Now: h.now, Log: slog.New(slog.DiscardHandler)}
	h.id = h.tenant("acme")
	return h
}

func (h *house) tenant(name string) tenants.ID {
	h.Helper()
	id := tenantstest.Tenant(h, h.f, "bitrix24", name)
	require.NoError(h, h.payments.Connect(h.Context(), id, admin, "till", nil, true))
	return id
}

func (h *house) now() time.Time { return time.Unix(0, h.clock.Load()).UTC() }

func (h *house) later(d time.Duration) { h.clock.Add(int64(d)) }

func (h *house) worker() *tasks.Worker {
	return &tasks.Worker{DB: h.f.DB, Payments: h.payments, Accounts: h, Now: h.now, Log: slog.New(slog.DiscardHandler),
		Remind: func(r []tenants.Reminder) {
			h.mu.Lock()
			h.reminded = append(h.reminded, r...)
			h.mu.Unlock()
		}}
}

// Account connects the test's CRM.
func (h *house) Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error) {
	refused := h.connecting(id)
	var tenant tenants.Tenant
	err := h.f.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		tenant, err = tx.Me(ctx)
		return err
	})
	return h.book, tenant, errors.Join(err, refused)
}

func (h *house) connecting(id tenants.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held := h.held; held != nil && id != h.id {
		h.hanging++
		h.mu.Unlock()
		<-held
		h.mu.Lock()
	}
	return h.refused
}

// Setup connects; Leave does nothing in the test's CRM.
func (h *house) Setup(_ context.Context, id tenants.ID) error { return h.connecting(id) }
func (h *house) Leave(context.Context, tenants.ID) error      { return nil }

func (h *house) refuse(err error) {
	h.mu.Lock()
	h.refused = err
	h.mu.Unlock()
}

func (h *house) in(fn func(ctx context.Context, tx *tenants.Tx) error) {
	h.Helper()
	require.NoError(h, h.f.DB.In(context.WithoutCancel(h.Context()), h.id, fn))
}

// owe makes an invoice of 1000.00 AMD.
func (h *house) owe(deal string) payments.Invoice { h.Helper(); return h.oweOf(h.id, deal) }

func (h *house) oweOf(id tenants.ID, deal string) payments.Invoice {
	h.Helper()
	in, err := h.payments.Create(context.WithoutCancel(h.Context()), id, admin, payments.NewInvoice{DealID: deal, Key: "k" + strconv.FormatInt(h.serial.Add(1), 10),
		Terms: payments.Terms{Amount: payments.Money{Minor: 100_000, Currency: "AMD"}, Purpose: "Deal " + deal, ExpiresAt: h.now().Add(72 * time.Hour)}})
	require.NoError(h, err)
	return in
}

// pay makes an invoice of the deal and records its payment, which plans one note.
func (h *house) pay(deals ...string) {
	h.Helper()
	for _, deal := range deals {
		h.payOf(h.id, deal)
	}
}

func (h *house) payOf(id tenants.ID, deal string) {
	h.Helper()
	_, _, err := h.payments.Receive(context.WithoutCancel(h.Context()), id, admin, h.oweOf(id, deal).ID, payments.Received{Method: "cash",
		Amount: payments.Money{Minor: 100_000, Currency: "AMD"}, ReceivedAt: h.now(), Reference: "receipt", Reason: "paid at the desk"})
	require.NoError(h, err)
}

func deals(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i + 1)
	}
	return names
}

// open counts the promises of pushes that are neither kept nor given up.
func (h *house) open() int { h.Helper(); return h.openOf(outbox.Push) }

func (h *house) openOf(kind outbox.Kind) (n int) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE kind = $1 AND done_at IS NULL AND dead_at IS NULL`, string(kind)).Scan(&n)
	})
	return n
}

func (h *house) sync(deal string) (s outbox.Sync) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		s, err = outbox.SyncOf(ctx, tx, deal)
		return err
	})
	return s
}

// exceptions lists the kinds of the deal's open exceptions.
func (h *house) exceptions(deal string) (kinds []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		open, err := payments.Exceptions(ctx, tx, deal, uuid.Nil, 100)
		for _, e := range open {
			kinds = append(kinds, e.Kind)
		}
		return err
	})
	return kinds
}

// lane runs one turn.
func (h *house) lane() {
	h.Helper()
	require.NoError(h, h.worker().Lane(context.WithoutCancel(h.Context()), h.id))
}

// till is an acquirer that answers what it is told to.
type till struct {
	mu   sync.Mutex
	paid map[string]bool // by order
	back bool            // what was paid was refunded by the bank's staff
	look func()          // called in the middle of a look-up
}

func (*till) Describe() payments.Description {
	return payments.Description{Name: "Till", Currencies: []string{"AMD"}}
}

func (*till) Start(_ context.Context, _ payments.Connection, o payments.Order) (payments.Checkout, error) {
	return payments.Checkout{URL: "https://till.example/" + o.Reference, ProviderRef: "T" + o.Reference}, nil
}

func (p *till) Look(_ context.Context, _ payments.Connection, o payments.Order) (payments.Observation, error) {
	p.mu.Lock()
	paid, back, look := p.paid[o.Reference], p.back, p.look
	p.mu.Unlock()
	if look != nil {
		look()
	}
	if !paid {
		return payments.Observation{}, payments.ErrNothingNew
	}
	seen := payments.Observation{Status: state.AttemptPaid, Captured: o.Amount, Reference: o.Reference, ProviderRef: "T" + o.Reference}
	if back {
		seen.Refunded = o.Amount
	}
	return seen, nil
}

func (*till) Hear(payments.Connection, payments.Notice) (payments.Heard, error) {
	return payments.Heard{}, payments.ErrNotice
}

func (*till) Check(context.Context, payments.Connection) error { return nil }

// paidWins has deals that are paid moved to the stage WON.
func (h *house) paidWins() {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.SetSettings(ctx, tenants.Settings{Stages: map[string]map[string]string{"0": {"paid": "WON"}}}, tenants.Operator)
	})
}
