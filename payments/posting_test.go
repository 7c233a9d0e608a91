package payments_test

import (
	"context"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func balances(s *tilltest.Shop, of payments.Part) map[string]int64 {
	s.Helper()
	held := map[string]int64{}
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Balances(ctx, tx, of)
		for _, b := range all {
			held[string(b.Account)+" "+b.Currency] = b.Minor
		}
		return err
	})
	return held
}

func TestEveryChangeOfMoneyIsPosted(t *testing.T) {
	s := tilltest.New(t)
	in, a := s.Sold("1", 100_000)
	require.Equal(t, map[string]int64{"acquirer:till AMD": 100_000, "receivable AMD": -100_000}, balances(s, payments.Part{Invoice: in.ID}))
	s.Learn(a, tilltest.Took(tilltest.AMD(100_000)))
	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(30_000)))
	want := map[string]int64{"acquirer:till AMD": 70_000, "customer_refunds AMD": 30_000, "receivable AMD": -100_000}
	require.Equal(t, want, balances(s, payments.Part{Invoice: in.ID}))
	require.Equal(t, want, balances(s, payments.Part{Deal: "1"}))
	require.Equal(t, want, balances(s, payments.Part{Attempt: a.ID}))

	other, b := s.Sold("2", 50_000)
	dispute := tilltest.Took(tilltest.AMD(50_000))
	dispute.Disputes = []payments.Dispute{{Ref: "d", Amount: tilltest.AMD(50_000), Status: state.DisputeOpened}}
	s.Learn(b, dispute)
	require.Equal(t, map[string]int64{"disputes AMD": 50_000, "receivable AMD": -50_000}, balances(s, payments.Part{Invoice: other.ID}))
	dispute.Disputes[0].Status = state.DisputeLost
	s.Learn(b, dispute)
	require.Equal(t, map[string]int64{"chargebacks AMD": 50_000, "receivable AMD": -50_000}, balances(s, payments.Part{Invoice: other.ID}))

	foreign := s.Invoice("3", 20_000)
	s.Learn(s.Try(foreign), tilltest.Took(tilltest.USD(900)))
	require.Equal(t, map[string]int64{"acquirer:till AMD": 70_000, "acquirer:till USD": 900, "chargebacks AMD": 50_000, "customer_refunds AMD": 30_000,
		"receivable AMD": -150_000, "unmatched USD": -900}, balances(s, payments.Part{}))
	require.Empty(t, balances(s, payments.Part{Deal: "4"}))
	s.ID = tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	require.Empty(t, balances(s, payments.Part{}), "the books of another tenant")
}

func TestMoneyReceivedOutsideIsPostedWithItsPayment(t *testing.T) {
	s := tilltest.New(t)
	in := s.Invoice("1", 100_000)
	payment, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(40_000), ReceivedAt: s.Clock,
		Reference: "K-17", Reason: "paid at the counter"})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"cash AMD": 40_000, "receivable AMD": -40_000}, balances(s, payments.Part{Invoice: in.ID}))
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "another customer")
	require.NoError(t, err)
	require.Empty(t, balances(s, payments.Part{Invoice: in.ID}))
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var lines, txns int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*), count(DISTINCT txn) FROM ledger_entries WHERE ref = $1 AND actor = 'user:1'
			AND kind IN ('manual', 'manual_reversed')`, payment.String()).Scan(&lines, &txns))
		require.Equal(t, []int{4, 2}, []int{lines, txns}, "the counter-entry leaves the entry standing")
		return nil
	})
}

func TestTheBooksSayWhatTheInvoicesSay(t *testing.T) {
	s := tilltest.New(t)
	rapid.Check(t, func(r *rapid.T) {
		in := s.Invoice(rapid.StringMatching(`[1-9]`).Draw(r, "deal"), 100_000)
		a := s.Try(in)
		for range rapid.IntRange(1, 5).Draw(r, "answers") {
			taken := tilltest.AMD(rapid.SampledFrom([]int64{100_000, 60_000, 1}).Draw(r, "taken"))
			o := tilltest.Back(taken, tilltest.AMD(rapid.Int64Range(0, taken.Minor).Draw(r, "refunded")))
			o.Status = rapid.SampledFrom([]state.AttemptStatus{state.AttemptPaid, state.AttemptPaid, state.AttemptFailed, state.Authorized}).Draw(r, "status")
			s.Learn(a, o)
		}
		in = s.Read(in.ID)
		held := balances(s, payments.Part{Invoice: in.ID})
		require.Equal(r, in.Paid, -held["receivable AMD"])
		require.Equal(r, in.Refunded, held["customer_refunds AMD"])
		require.Equal(r, in.Paid-in.Refunded, held["acquirer:till AMD"])
	})
}

const entry = `INSERT INTO ledger_entries (tenant_id, txn, line, at, day, kind, account, currency, minor, actor)
	SELECT current_tenant(), $5::uuid, (SELECT count(*) FROM ledger_entries WHERE txn = $5) + n, now(), $1, 'capture', account, currency, minor, 'timer'
	FROM unnest($2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS l(account, currency, minor, n)`

func TestAnUnbalancedTransactionIsImpossible(t *testing.T) {
	s := tilltest.New(t)
	day := s.Clock
	write := func(lines ...[]any) error {
		return s.DB.In(t.Context(), s.ID, func(ctx context.Context, tx *tenants.Tx) error {
			var accounts, currencies []string
			var minors []int
			for _, line := range lines {
				accounts, currencies, minors = append(accounts, line[0].(string)), append(currencies, line[1].(string)), append(minors, line[2].(int))
			}
			_, err := tx.Exec(ctx, entry, day, accounts, currencies, minors, uuid.Nil)
			return err
		})
	}
	for name, lines := range map[string][][]any{
		"one leg":                   {{"cash", "AMD", 5}},
		"legs that differ":          {{"cash", "AMD", 5}, {"receivable", "AMD", -4}},
		"legs of two currencies":    {{"cash", "AMD", 5}, {"receivable", "USD", -5}},
		"nothing":                   {{"cash", "AMD", 0}},
		"an account nobody defined": {{"pocket", "AMD", 5}, {"cash", "AMD", -5}},
	} {
		var pg *pgconn.PgError
		require.ErrorAs(t, write(lines...), &pg, name)
		require.Equal(t, "23", pg.Code[:2], name)
	}
	require.NoError(t, write([]any{"cash", "AMD", 5}, []any{"receivable", "AMD", -5}))
	require.ErrorContains(t, write([]any{"cash", "AMD", 5}), "not balanced", "and nothing is added to it later")
	require.NoError(t, write([]any{"fees", "AMD", 5}, []any{"bank", "AMD", -5}), "unless it stays balanced")
}

func TestALockedMonthStaysAsItIs(t *testing.T) {
	s := tilltest.New(t)
	february, march := day("2026-02-01"), day("2026-03-01")
	_, err := s.Lock(t.Context(), s.ID, payments.By{Actor: "user:2", Role: tenants.Manager}, february)
	require.ErrorIs(t, err, payments.ErrRole)
	_, err = s.Lock(t.Context(), s.ID, s.By, march)
	require.ErrorIs(t, err, payments.ErrInvalid, "it is the tenth of March")
	p, err := s.Lock(t.Context(), s.ID, payments.By{Actor: "user:2", Role: tenants.Accountant}, february)
	require.NoError(t, err)
	again, err := s.Lock(t.Context(), s.ID, s.By, february)
	require.NoError(t, err)
	require.Equal(t, p, again)

	for _, closed := range []string{"2026-02-28", "2026-01-15"} {
		err = s.DB.In(t.Context(), s.ID, func(ctx context.Context, tx *tenants.Tx) error {
			_, err := tx.Exec(ctx, entry, day(closed), []string{"cash"}, []string{"AMD"}, []int{5}, uuid.Nil)
			return err
		})
		require.ErrorContains(t, err, "locked")
	}
	s.Clock = time.Date(2026, 2, 28, 19, 0, 0, 0, time.UTC) // a worker whose clock is behind
	in, _ := s.Sold("1", 100_000)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var posted time.Time
		require.NoError(t, tx.QueryRow(ctx, `SELECT min(day) FROM ledger_entries WHERE invoice_id = $1`, in.ID).Scan(&posted))
		require.Equal(t, march, posted, "what is learnt later belongs to the open month")
		return nil
	})
}

func TestDaysAreTheTenants(t *testing.T) {
	s := tilltest.New(t)
	s.Clock = time.Date(2026, 3, 31, 21, 30, 0, 0, time.UTC) // April in Yerevan
	in, _ := s.Sold("1", 100_000)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var posted time.Time
		require.NoError(t, tx.QueryRow(ctx, `SELECT max(day) FROM ledger_entries WHERE invoice_id = $1 AND account = $2`, in.ID,
			string(ledger.AcquirerOf("till"))).Scan(&posted))
		require.Equal(t, day("2026-04-01"), posted)
		return nil
	})
}

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}
