package tasks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// sell has deals paid at the till, and their cards written; it returns the last one's invoice.
func (h *house) sell(deals ...string) (in payments.Invoice) {
	h.Helper()
	ctx := context.WithoutCancel(h.Context())
	for _, deal := range deals {
		in = h.owe(deal)
		_, err := h.payments.Pay(ctx, h.id, in.ID, "token", "till", "en")
		require.NoError(h, err)
		h.till.mu.Lock()
		if h.till.paid == nil {
			h.till.paid = map[string]bool{}
		}
		h.till.paid[in.Number+"-1"] = true
		h.till.mu.Unlock()
		require.NoError(h, h.payments.CheckInvoice(ctx, h.id, in.ID))
	}
	h.lane()
	return in
}

// tomorrow is at noon, where the tenant is: one night has passed, at whatever hour the test runs.
func (h *house) tomorrow() {
	h.Helper()
	zone, err := time.LoadLocation("Asia/Yerevan")
	require.NoError(h, err)
	year, month, day := h.now().In(zone).Date()
	h.clock.Store(time.Date(year, month, day+1, 12, 0, 0, 0, zone).UnixNano())
}

// nights runs every promise to reconcile that is due, again and again until none is.
func (h *house) nights(w *tasks.Worker) {
	h.Helper()
	for again := true; again; {
		again = false
		due, err := h.f.DB.Due(context.WithoutCancel(h.Context()), h.now(), -time.Second, 100)
		require.NoError(h, err)
		for _, r := range due {
			if r.Kind == string(outbox.Reconcile) {
				again = true
				require.NoError(h, w.Run(context.WithoutCancel(h.Context()), r.Tenant, outbox.Reconcile, r.ID))
			}
		}
	}
}

// report is the newest run with what it found.
func (h *house) report() (r payments.Run, found []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		runs, err := payments.Runs(ctx, tx, nil, 1)
		require.NoError(h, err)
		require.Len(h, runs, 1)
		r = runs[0]
		all, err := payments.Mismatches(ctx, tx, r.ID, 0, 100)
		for _, m := range all {
			found = append(found, fmt.Sprintf("%s %s: %s, %s", m.Kind, m.DealID, m.Theirs, m.State))
		}
		return err
	})
	return r, found
}

func TestTheNightComparesTheCRMToo(t *testing.T) {
	h := newHouse(t)
	h.sell("1", "2", "3")
	h.book.mu.Lock()
	card := h.book.fields["2"]
	card.Paid.Decimal = "1.00"
	h.book.fields["2"] = card
	h.book.mu.Unlock()
	h.nights(h.worker())
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		runs, err := payments.Runs(ctx, tx, nil, 1)
		require.Empty(t, runs, "the day is not over")
		return err
	})
	h.tomorrow()
	h.nights(h.worker())
	r, found := h.report()
	require.Equal(t, []any{"done", 3, 3, ""}, []any{r.State, r.Total, r.Checked, r.CRMSkipped})
	require.Equal(t, []string{fmt.Sprintf("crm_differs 2: paid, paid 1.00 AMD, refunded 0.00 AMD, reference %q, open", card.Reference)}, found)

	h.book.mu.Lock()
	card.Paid.Decimal = "1000.00"
	h.book.fields["2"] = card
	h.book.mu.Unlock()
	h.later(24 * time.Hour)
	h.nights(h.worker())
	_, found = h.report()
	require.Empty(t, found)
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Mismatches(ctx, tx, r.ID, 0, 100)
		require.Equal(t, "closed", all[0].State)
		return err
	})
}

// shorn is a CRM without some deals.
type shorn struct {
	*house
	gone string
}

func (s shorn) Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error) {
	_, tenant, err := s.house.Account(ctx, id)
	return without{s.book, s.gone}, tenant, err
}

type without struct {
	*book
	gone string
}

func (w without) Deals(ctx context.Context, ids []string) (map[string]crm.Deal, error) {
	all, err := w.book.Deals(ctx, ids)
	delete(all, w.gone)
	return all, err
}

func TestADealThatIsGoneDiffers(t *testing.T) {
	h := newHouse(t)
	h.sell("1", "2")
	h.tomorrow()
	w := h.worker()
	w.Accounts = shorn{h, "1"}
	h.nights(w)
	_, found := h.report()
	require.Equal(t, []string{"crm_differs 1: no such deal, open"}, found)
	require.Equal(t, 1, h.reviewing(), "it is looked at, since the CRM told of nothing")
}

func TestWithoutAccessTheAcquirerIsComparedAlone(t *testing.T) {
	h := newHouse(t)
	h.sell("1")
	h.refuse(&crm.Error{Class: crm.Revoked})
	h.tomorrow()
	h.nights(h.worker())
	r, found := h.report()
	require.Equal(t, []any{"done", 1, "revoked"}, []any{r.State, r.Checked, r.CRMSkipped})
	require.Empty(t, found)
}

func TestAWorkerMayDieInTheMiddleOfTheNight(t *testing.T) {
	h := newHouse(t)
	h.sell(deals(23)...)
	h.tomorrow()
	require.True(t, h.dying("compared", 21, func(w *tasks.Worker) { h.nights(w) }))
	r, _ := h.report()
	require.Equal(t, []any{"running", 23, 21}, []any{r.State, r.Total, r.Checked})
	h.later(5 * time.Second)
	h.nights(h.worker())
	r, found := h.report()
	require.Equal(t, []any{"done", 23}, []any{r.State, r.Checked})
	require.Empty(t, found)
}

func TestALongNightGoesToTheBackOfTheQueue(t *testing.T) {
	h := newHouse(t)
	h.sell(deals(4)...)
	h.tomorrow()
	h.till.look = func() { h.later(6 * time.Second) }
	h.nights(h.worker())
	r, _ := h.report()
	require.Equal(t, []any{"done", 4}, []any{r.State, r.Checked}, "in two slices")
}
