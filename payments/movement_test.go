package payments_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func movements(s *tilltest.Shop, from, to string) (all []payments.Movement) {
	s.Helper()
	require.NoError(s, s.Movements(s.Context(), s.ID, day(from), day(to), func(m payments.Movement) error {
		all = append(all, m)
		return nil
	}))
	return all
}

func TestMovementsTellWhatHappenedToMoney(t *testing.T) {
	s := tilltest.New(t)
	in, a := s.Sold("7", 100_000)
	s.Clock = s.Clock.AddDate(0, 0, 1)
	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(30_000)))
	other := s.Invoice("8", 50_000)
	received := s.Clock.Add(-time.Hour)
	payment, _, err := s.Receive(t.Context(), s.ID, s.By, other.ID, payments.Received{Method: "transfer", Amount: tilltest.AMD(50_000), ReceivedAt: received,
		Reference: "P-9", Reason: "came to the bank"})
	require.NoError(t, err)
	s.Clock = s.Clock.AddDate(0, 0, 1)
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "of another firm")
	require.NoError(t, err)

	all := movements(s, "2026-03-10", "2026-03-12")
	require.Len(t, all, 4)
	sale, refund, manual, undone := all[0], all[1], all[2], all[3]
	require.Equal(t, ledger.Capture, sale.Kind)
	require.Equal(t, []string{a.ID.String(), in.Number, "7", "till", a.Reference, "T-" + a.Reference, "AMD"},
		[]string{sale.Payment, sale.Invoice, sale.DealID, sale.Acquirer, sale.Order, sale.Provider, sale.Currency})
	require.Equal(t, []int64{100_000, 100_000, 30_000}, []int64{sale.Amount, sale.Captured, sale.Refunded})
	require.Equal(t, "partial", sale.RefundState())
	require.False(t, sale.Operator())
	require.Equal(t, refund.At, *sale.RefundedAt)
	require.Equal(t, []any{ledger.Refund, int64(-30_000), day("2026-03-11")}, []any{refund.Kind, refund.Amount, refund.Day.UTC()})
	require.Equal(t, []any{ledger.Manual, int64(50_000), payment.String(), "transfer", "P-9", "came to the bank", tenants.Actor("user:1"), true},
		[]any{manual.Kind, manual.Amount, manual.Payment, manual.Method, manual.Reference, manual.Reason, manual.Actor, manual.Operator()})
	require.WithinDuration(t, received, *manual.Received, 0)
	require.Equal(t, []any{ledger.ManualReversed, int64(-50_000), payment.String(), "of another firm"},
		[]any{undone.Kind, undone.Amount, undone.Payment, undone.Reason})
	require.Empty(t, undone.RefundState())

	require.Len(t, movements(s, "2026-03-11", "2026-03-11"), 2)
	require.Empty(t, movements(s, "2026-03-13", "2026-03-31"))
	s.ID = tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	require.Empty(t, movements(s, "2026-03-01", "2026-03-31"), "the books of another tenant")
}

func TestMovementsAreReadPageByPage(t *testing.T) {
	s := tilltest.New(t)
	const many = 1_203
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `WITH made AS (SELECT n, gen_random_uuid() AS txn FROM generate_series(1, $1) AS n)
			INSERT INTO ledger_entries (tenant_id, txn, line, at, day, kind, account, currency, minor, actor)
			SELECT current_tenant(), txn, line, now(), date '2026-03-31' - n % 7, 'manual', CASE line WHEN 1 THEN 'cash' ELSE 'receivable' END, 'AMD',
				CASE line WHEN 1 THEN n ELSE -n END, 'user:1' FROM made CROSS JOIN generate_series(1, 2) AS line`, many)
		return err
	})
	var sum int64
	seen := map[int64]bool{}
	last := day("2026-03-01")
	for _, m := range movements(s, "2026-03-01", "2026-03-31") {
		require.False(t, seen[m.ID])
		require.False(t, m.Day.Before(last))
		seen[m.ID], last, sum = true, m.Day, sum+m.Amount
	}
	require.Len(t, seen, many)
	require.Equal(t, int64(many*(many+1)/2), sum)

	enough, n := errors.New("enough"), 0
	require.ErrorIs(t, s.Movements(t.Context(), s.ID, day("2026-03-01"), day("2026-03-31"), func(payments.Movement) error {
		if n++; n == 700 {
			return enough
		}
		return nil
	}), enough)
	require.Equal(t, 700, n)
}

func TestWhatPeopleDoWithMoneyIsInTheBooks(t *testing.T) {
	s := newShop(t)
	in, _ := s.cancelledPaid("2", 30_000)
	right := s.Invoice("3", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "move", Reason: "Paid by the wrong link", Invoice: right.Number}))
	require.Equal(t, map[string]int64{"acquirer:till AMD": 30_000, "transfers AMD": -30_000}, balances(s.Shop, payments.Part{Invoice: in.ID}))
	require.Equal(t, map[string]int64{"transfers AMD": 30_000, "receivable AMD": -30_000}, balances(s.Shop, payments.Part{Invoice: right.ID}))

	s.Providers["till"] = oneWay{s.Till}
	sold, _ := s.Sold("5", 100_000)
	_, err := s.Refund(t.Context(), s.ID, s.By, sold.ID, payments.RefundRequest{Amount: tilltest.AMD(40_000), Reason: "Returned",
		Method: payments.ByTransfer, Reference: "TR-77", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acquirer:till AMD": 100_000, "cash AMD": -40_000, "customer_refunds AMD": 40_000, "receivable AMD": -100_000},
		balances(s.Shop, payments.Part{Invoice: sold.ID}))
	require.NotContains(t, balances(s.Shop, payments.Part{}), "transfers AMD", "over the tenant nothing is under way")

	told := map[string][]any{}
	for _, m := range movements(s.Shop, "2026-03-10", "2026-03-10") {
		told[string(m.Kind)+" "+m.DealID] = []any{m.Amount, m.NonCash, m.Operator(), m.Reference, m.Reason}
	}
	require.Equal(t, map[string][]any{
		"capture 2": {int64(30_000), int64(0), false, "", ""}, "capture 5": {int64(100_000), int64(0), false, "", ""},
		"moved 2": {int64(0), int64(-30_000), true, right.Number, "Paid by the wrong link"}, "moved 3": {int64(0), int64(30_000), true, in.Number, "Paid by the wrong link"},
		"refund_outside 5": {int64(-40_000), int64(0), true, "TR-77", "Returned"},
	}, told)
}

func TestDecisionsAndReceiptsAreInTheBooks(t *testing.T) {
	s := newShop(t)
	late, a := s.cancelledPaid("3", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "accept", Reason: "The deal stands", Reference: "case 7"}))
	for _, number := range []string{"FR-1", "FR-2"} {
		_, err := s.NoteReceipt(t.Context(), s.ID, s.By, late.ID, payments.NewReceipt{Number: number, Kind: "final", State: "issued"})
		require.NoError(t, err)
	}
	s.Learn(a, tilltest.Back(tilltest.AMD(30_000), tilltest.AMD(10_000)))
	_, err := s.NoteReceipt(t.Context(), s.ID, s.By, late.ID, payments.NewReceipt{Number: "FR-3", Kind: "refund", State: "pending"})
	require.NoError(t, err)
	all := movements(s.Shop, "2026-03-10", "2026-03-10")
	require.Len(t, all, 2)
	require.Equal(t, []string{"contact 3", "accept", "user:1", "The deal stands", "case 7", "FR-2", "final", "issued"}, []string{all[0].Customer, all[0].Decision,
		all[0].DecidedBy, all[0].DecisionReason, all[0].DecisionReference, all[0].Receipt, all[0].ReceiptKind, all[0].ReceiptState})
	require.Equal(t, []string{"", "FR-3", "refund", "pending"}, []string{all[1].Decision, all[1].Receipt, all[1].ReceiptKind, all[1].ReceiptState})
}

func TestADecisionThatWasTakenBackIsInTheBooksOnceEachWay(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("3", 30_000)
	a := s.Try(in)
	s.Learn(a, tilltest.Took(tilltest.AMD(20_000)))
	write := func(reference string) {
		s.Clock = s.Clock.Add(time.Minute)
		require.NoError(t, s.decide(s.By, payments.Choice{Decision: "write_off", Reason: "A regular customer", Reference: reference}))
	}
	write("case 7")
	s.Clock = s.Clock.Add(time.Minute)
	_, err := s.UndoDecision(t.Context(), s.ID, s.By, uuid.MustParse(s.word(in.ID).Decisions[0].ID), "He is not")
	require.NoError(t, err)
	told := func() (lines [][]any) {
		for _, m := range movements(s.Shop, "2026-03-10", "2026-03-10") {
			lines = append(lines, []any{m.Kind, m.NonCash, m.Reason, m.Reference, m.Decision})
		}
		return lines
	}
	sale := []any{ledger.Capture, int64(0), "", "", ""}
	books := [][]any{sale, {ledger.WriteOff, int64(10_000), "A regular customer", "case 7", ""}, {ledger.WriteOff, int64(-10_000), "He is not", "case 7", ""}}
	require.Equal(t, books, told(), "nothing is decided about the sale now")
	write("case 8")
	sale[4] = "write_off"
	require.Equal(t, append(books, []any{ledger.WriteOff, int64(10_000), "A regular customer", "case 8", ""}), told())
}

func TestWhoGaveMoneyBackIsInTheBooks(t *testing.T) {
	s, g, in, a := returns(t)
	s.settings(func(p *tenants.PaymentSettings) { p.RefundLimits = map[string]int64{"AMD": 50_000} })
	total, other := int64(0), payments.By{Actor: "user:2", Role: tenants.Admin}
	tell := func() { s.Tell(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(total))) }
	g.give = func(_ payments.Order, amount payments.Money) error {
		total += amount.Minor
		tell()
		return nil
	}
	send := func(id uuid.UUID) {
		t.Helper()
		_, err := s.SendRefund(t.Context(), s.ID, id)
		require.NoError(t, err)
		s.Clock = s.Clock.Add(time.Minute)
	}
	send(s.ask(in, 20_000))
	total += 20_000 // in the acquirer's console: the same amount, of nobody we know
	tell()
	s.learnAgain(a)
	s.Clock = s.Clock.Add(time.Minute)
	id := s.ask(in, 40_000) // with the others of the day above the limit
	require.NoError(t, s.decide(other, payments.Choice{Decision: "approve", Reason: "In order"}))
	send(id)
	g.give = func(payments.Order, payments.Money) error { return payments.ErrUnknown }
	id = s.ask(in, 5_000)
	require.NoError(t, s.decide(other, payments.Choice{Decision: "approve", Reason: "In order"}))
	send(id)
	s.Clock = s.Clock.Add(time.Hour)
	send(id)
	require.NoError(t, s.decide(other, payments.Choice{Decision: "refunded", Reason: "Seen in its console", Reference: "RRN 5"}))

	var told [][]any
	for _, m := range movements(s.Shop, "2026-03-10", "2026-03-10")[1:] {
		told = append(told, []any{m.Kind, m.Amount, m.Actor, m.Method, m.Reference, m.Reason, m.Operator(), m.Decision, m.DecidedBy, m.DecisionReason, m.DecisionReference})
	}
	nobody := tenants.Acquirer
	require.Equal(t, [][]any{
		{ledger.Refund, int64(-20_000), s.By.Actor, "api", "", "Returned", false, "", "", "", ""},
		{ledger.Refund, int64(-20_000), nobody, "", "", "", false, "", "", "", ""},
		{ledger.Refund, int64(-40_000), s.By.Actor, "api", "", "Returned", false, "approve", "user:2", "", ""},
		{ledger.Refund, int64(-5_000), s.By.Actor, "api", "", "Returned", true, "refunded", "user:2", "Seen in its console", "RRN 5"},
	}, told)
}
