package payments_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// oneWay is a till that takes money and cannot give it back.
type oneWay struct{ *tilltest.Till }

func (o oneWay) Describe() payments.Description {
	all := o.Till.Describe()
	all.Refunds, all.Partial = false, false
	return all
}

func (s *shop) refunds(in payments.Invoice) (all []payments.Refunding) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Refunds(ctx, tx, in.ID)
		return err
	})
	return all
}

func TestARefundMadeByHandIsRecordedOnce(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = oneWay{s.Till}
	in, _ := s.Sold("1", 100_000)
	ask := func(minor int64, key string, r payments.RefundRequest) error {
		r.Amount, r.Key, r.Request = tilltest.AMD(minor), key, []byte(key)
		_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, r)
		return err
	}
	require.ErrorIs(t, ask(40_000, "a", payments.RefundRequest{Reason: "Returned"}), payments.ErrInvalid, "the acquirer cannot")
	byTransfer := payments.RefundRequest{Reason: "Returned", Method: payments.ByTransfer, Reference: "TR-77"}
	require.ErrorIs(t, ask(40_000, "b", payments.RefundRequest{Reason: "Returned", Method: payments.ByCash}), payments.ErrInvalid, "which cash order")
	require.ErrorIs(t, ask(40_000, "c", payments.RefundRequest{Reason: "Returned", Method: "crypto", Reference: "x"}), payments.ErrInvalid)
	for range 2 {
		require.NoError(t, ask(40_000, "d", byTransfer))
	}
	after := s.Read(in.ID)
	require.Equal(t, [4]any{state.PartiallyRefunded, int64(100_000), int64(40_000), in.PaidAt}, [4]any{after.Status, after.Paid, after.Refunded, after.PaidAt})
	require.Equal(t, in.Reference, after.Reference, "what was paid stands")
	require.ErrorIs(t, ask(60_001, "e", byTransfer), payments.ErrInvalid, "no more than it still holds")
	require.NoError(t, ask(60_000, "f", payments.RefundRequest{Reason: "Returned", Method: payments.ByCash, Reference: "KO-1"}))
	require.Equal(t, state.Refunded, s.Read(in.ID).Status)
	require.Equal(t, []string{"note:paid", "note:given_back", "note:given_back"}, s.planned("1"))
	require.Equal(t, []payments.RefundMethod{payments.ByTransfer, payments.ByCash}, []payments.RefundMethod{s.refunds(in)[0].Method, s.refunds(in)[1].Method})
}

func TestARefundMadeByHandIsTakenBackByACounterEntry(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = oneWay{s.Till}
	in, _ := s.Sold("1", 100_000)
	give := func(minor int64, reference string) uuid.UUID {
		_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(minor), Reason: "Returned", Method: payments.ByCash, Reference: reference})
		require.NoError(t, err)
		all := s.refunds(in)
		return all[len(all)-1].ID
	}
	undo := func(by payments.By, id uuid.UUID, reason string) error {
		_, err := s.UndoRefund(t.Context(), s.ID, by, id, reason)
		return err
	}
	s.settings(func(p *tenants.PaymentSettings) { p.RefundLimits = map[string]int64{"AMD": 100_000} })
	first := give(100_000, "KO-1")
	require.Equal(t, state.Refunded, s.Read(in.ID).Status)
	require.ErrorIs(t, undo(payments.By{Actor: "user:2", Role: tenants.Accountant}, first, "Of another deal"), payments.ErrRole)
	require.ErrorIs(t, undo(s.By, first, " "), payments.ErrInvalid)
	require.ErrorIs(t, undo(s.By, uuid.New(), "Of another deal"), payments.ErrNotFound)
	require.NoError(t, undo(s.By, first, "Of another deal"))
	require.ErrorIs(t, undo(s.By, first, "Once more"), payments.ErrState)
	after := s.Read(in.ID)
	require.Equal(t, [4]any{state.Paid, int64(100_000), int64(0), in.PaidAt}, [4]any{after.Status, after.Paid, after.Refunded, after.PaidAt})
	require.Nil(t, after.RefundedAt)
	require.Equal(t, map[string]int64{"acquirer:till AMD": 100_000, "receivable AMD": -100_000}, balances(s.Shop, payments.Part{Invoice: in.ID}))
	require.Equal(t, []bool{true, false}, []bool{s.word(in.ID).Acquirer, s.word(in.ID).Operator})

	second := give(100_000, "KO-2") // it holds everything again, and the limit has room again
	require.Equal(t, []string{"undone", "done"}, []string{s.refunds(in)[0].Status, s.refunds(in)[1].Status})
	require.True(t, s.word(in.ID).Operator)
	require.NoError(t, undo(s.By, second, "Not yet"))
	require.Equal(t, []string{"note:paid", "note:given_back", "note:given_back_undone", "note:given_back", "note:given_back_undone"}, s.planned("1"))
	require.Equal(t, []string{"refund.recorded user:1 Returned", "refund.undone user:1 Of another deal", "refund.recorded user:1 Returned",
		"refund.undone user:1 Not yet"}, slices.DeleteFunc(s.trail("refund."), func(line string) bool { return strings.HasPrefix(line, "refund.asked") }))
}

func TestARefundOfTheAcquirersIsNotTakenBackByHand(t *testing.T) {
	s, _, in, _ := returns(t)
	_, err := s.UndoRefund(t.Context(), s.ID, s.By, s.ask(in, 40_000), "By mistake")
	require.ErrorIs(t, err, payments.ErrNotFound)
}

func TestAReviewThatEndedByARefundMadeByHandOpensAgainWhenThatIsTakenBack(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = oneWay{s.Till}
	in, _ := s.cancelledPaid("1", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "refund_outside", Reason: "x", Reference: "TR-1"}))
	require.Empty(t, s.exceptions())
	_, err := s.UndoRefund(t.Context(), s.ID, s.By, s.refunds(in)[0].ID, "The bank sent it back")
	require.NoError(t, err)
	require.Equal(t, []string{string(state.PaidAfterCancel)}, s.exceptions())
	require.Equal(t, [2]any{state.ManualReview, int64(0)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
}

func TestMoneyTheAcquirerCanReturnIsNotReturnedByHandToo(t *testing.T) {
	s := newShop(t)
	in, _ := s.Sold("1", 100_000)
	_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(100_000), Reason: "x", Method: payments.ByTransfer, Reference: "TR"})
	require.ErrorIs(t, err, payments.ErrInvalid)
	_, err = s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(100_000), Reason: "x"})
	require.NoError(t, err)
	_, err = s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(100_000), Reason: "x", Method: payments.ByTransfer, Reference: "TR"})
	require.ErrorIs(t, err, payments.ErrState, "one is under way")
}

func TestALargeRefundNeedsASecondPerson(t *testing.T) {
	s := newShop(t)
	in, a := s.Sold("1", 100_000)
	limit := func(minor int64) {
		s.settings(func(p *tenants.PaymentSettings) { p.RefundLimits = map[string]int64{"AMD": minor} })
	}
	refund := func(minor int64) error {
		_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(minor), Reason: "Returned"})
		return err
	}
	other := payments.By{Actor: "user:2", Role: tenants.Admin}
	limit(50_000)
	require.NoError(t, refund(60_000))
	require.Equal(t, []string{payments.RefundApproval}, s.exceptions())
	waiting := s.refunds(in)[0]
	next, err := s.SendRefund(t.Context(), s.ID, waiting.ID)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Equal(t, "waiting", s.refunds(in)[0].Status, "nothing leaves without the second person")
	require.ErrorIs(t, refund(10_000), payments.ErrState, "one at a time")

	yes := payments.Choice{Decision: "approve", Reason: "Seen the goods"}
	require.ErrorIs(t, s.decide(s.By, yes), payments.ErrInvalid, "not the one who asked")
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		_, _, err := tx.NewAPIKey(ctx, "own", tenants.Admin, s.By.Actor)
		_, _, err2 := tx.NewAPIKey(ctx, "program", tenants.Admin, "user:2")
		_, _, err3 := tx.NewAPIKey(ctx, "made by own", tenants.Admin, "key:own")
		return errors.Join(err, err2, err3)
	})
	require.ErrorIs(t, s.decide(payments.By{Actor: "key:own", Role: tenants.Admin}, yes), payments.ErrInvalid, "nor by a key that they made")
	require.ErrorIs(t, s.decide(payments.By{Actor: "key:made by own", Role: tenants.Admin}, yes), payments.ErrInvalid, "nor by a key that their key made")
	require.ErrorIs(t, s.decide(payments.By{Actor: "user:3", Role: tenants.Accountant}, yes), payments.ErrRole)
	require.NoError(t, s.decide(other, yes))
	require.Empty(t, s.exceptions())
	require.Equal(t, [2]any{"requested", tenants.Actor("user:2")}, [2]any{s.refunds(in)[0].Status, s.refunds(in)[0].ApprovedBy})
	s.Tell(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(60_000)))
	s.Providers["till"] = refunder{Till: s.Till}
	_, err = s.SendRefund(t.Context(), s.ID, waiting.ID)
	require.NoError(t, err)
	require.Equal(t, int64(60_000), s.Read(in.ID).Refunded)

	limit(5_000)
	require.NoError(t, refund(7_000))
	require.NoError(t, s.decide(payments.By{Actor: "key:program", Role: tenants.Admin}, yes), "another person's key is another person")
	_, err = s.SendRefund(t.Context(), s.ID, s.refunds(in)[1].ID)
	require.NoError(t, err)
	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(67_000)))
	_, err = s.SendRefund(t.Context(), s.ID, s.refunds(in)[1].ID)
	require.NoError(t, err)
	require.NoError(t, refund(10_000))
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "reject", Reason: "A mistake"}), "who asked may take it back")
	require.Equal(t, "refused", s.refunds(in)[2].Status)
	require.Equal(t, int64(67_000), s.Read(in.ID).Refunded)
}

// refunder is a till that gives money back when it is asked.
type refunder struct{ *tilltest.Till }

func (refunder) Refund(context.Context, payments.Connection, payments.Order, string, payments.Money) error {
	return nil
}

func TestMoneyUnderReviewMovesToTheInvoiceItIsFor(t *testing.T) {
	s := newShop(t)
	first := s.Invoice("1", 100_000)
	_, err := s.Cancel(t.Context(), s.ID, s.By, first.ID)
	require.NoError(t, err)
	in, b := s.cancelledPaid("2", 30_000)
	right := s.Invoice("3", 30_000)
	small := s.Invoice("4", 20_000)

	move := payments.Choice{Decision: "move", Reason: "Paid by the wrong link"}
	for _, name := range []string{"", "DP-NOBODY", first.Number, in.Number, small.Number} {
		move.Invoice = name
		require.ErrorIs(t, s.decide(s.By, move), payments.ErrInvalid, name)
	}
	move.Invoice = right.Number
	require.ErrorIs(t, s.decide(payments.By{Actor: "user:9", Role: tenants.Manager}, move), payments.ErrRole)
	require.NoError(t, s.decide(s.By, move))
	require.Empty(t, s.exceptions())
	require.Equal(t, [3]any{state.Cancelled, int64(0), int64(0)}, [3]any{s.Read(in.ID).Status, s.Read(in.ID).Paid, s.Read(in.ID).Outstanding})
	require.Equal(t, [3]any{state.Paid, int64(30_000), int64(0)}, [3]any{s.Read(right.ID).Status, s.Read(right.ID).Paid, s.Read(right.ID).Outstanding})
	word := s.word(right.ID)
	require.Equal(t, []payments.Moved{{ID: word.Moves[0].ID, Amount: tilltest.AMD(30_000), In: true, Other: in.Number, Reason: word.Moves[0].Reason,
		By: s.By.Actor, At: word.Moves[0].At}}, word.Moves)
	require.Equal(t, []bool{false, true}, []bool{word.Acquirer, word.Operator}, "the other invoice's payment was seen, of this one a person speaks")

	s.Learn(b, tilltest.Back(tilltest.AMD(30_000), tilltest.AMD(30_000)))
	s.learnAgain(b)
	require.Equal(t, []string{string(state.RefundAfterMove)}, s.exceptions(), "the bank gave back what counts elsewhere")
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "undo_move", Reason: "It went back"}))
	require.Equal(t, [2]any{state.AwaitingPayment, int64(30_000)}, [2]any{s.Read(right.ID).Status, s.Read(right.ID).Outstanding})
	require.Equal(t, state.Refunded, s.Read(in.ID).Status)
	require.Empty(t, s.exceptions())
}

// cancelledPaid is an invoice that was paid after it was cancelled, with the attempt.
func (s *shop) cancelledPaid(deal string, minor int64) (payments.Invoice, payments.Attempt) {
	s.Helper()
	in := s.Invoice(deal, minor)
	a := s.Try(in)
	_, err := s.Cancel(s.Context(), s.ID, s.By, in.ID)
	require.NoError(s, err)
	s.Learn(a, tilltest.Took(tilltest.AMD(minor)))
	return in, a
}

func (s *shop) learnAgain(a payments.Attempt) {
	s.Helper()
	_, err := s.Check(s.Context(), s.ID, a.ID)
	require.NoError(s, err)
}

func TestAReviewEndsWhenItsMoneyWasGivenBackByHand(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = oneWay{s.Till}
	in, _ := s.cancelledPaid("1", 30_000)
	require.ErrorIs(t, s.decide(s.By, payments.Choice{Decision: "refund_outside", Reason: "x"}), payments.ErrInvalid, "by which transfer")
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "refund_outside", Reason: "x", Reference: "TR-1"}))
	require.Empty(t, s.exceptions())
	require.Equal(t, [2]any{state.Refunded, int64(30_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
}

func TestWhatTheBankDoesLaterHasItsOutcome(t *testing.T) {
	t.Run("money held and never taken", func(t *testing.T) {
		s := newShop(t)
		in := s.Invoice("1", 30_000)
		a := s.Try(in)
		s.Learn(a, payments.Observation{Status: state.Authorized})
		require.Empty(t, s.exceptions())
		s.Clock = s.Clock.Add(8 * 24 * time.Hour)
		s.learnAgain(a)
		require.Equal(t, []string{payments.NeverCaptured}, s.exceptions())
		s.learnAgain(a)
		require.Equal(t, []string{payments.NeverCaptured}, s.exceptions(), "said once")
		require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status, "held money pays nothing")
		s.Learn(a, payments.Observation{Status: state.AttemptCancelled})
		require.Empty(t, s.exceptions(), "it ends with the hold")
	})
	t.Run("a payment the bank undid", func(t *testing.T) {
		s := newShop(t)
		in, a := s.Sold("1", 30_000)
		s.Learn(a, payments.Observation{Status: state.AttemptCancelled, Refunded: tilltest.AMD(30_000)})
		after := s.Read(in.ID)
		require.Equal(t, [4]any{state.Refunded, int64(30_000), int64(30_000), in.PaidAt}, [4]any{after.Status, after.Paid, after.Refunded, after.PaidAt})
		require.Equal(t, []string{payments.ReversedByOne}, s.exceptions())
		require.Equal(t, []string{"note:paid", "note:refunded", "task:reversed_by_bank"}, s.planned("1"))
		require.NoError(t, s.decide(s.By, payments.Choice{Decision: "dismiss", Reason: "Known"}))
	})
	t.Run("a refund made in the bank's console", func(t *testing.T) {
		s := newShop(t)
		in, a := s.Sold("1", 30_000)
		s.Learn(a, tilltest.Back(tilltest.AMD(30_000), tilltest.AMD(10_000)))
		require.Equal(t, [2]any{state.PartiallyRefunded, int64(10_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
		require.Empty(t, s.exceptions())
		require.Equal(t, []string{"note:paid", "note:refunded"}, s.planned("1"))
	})
	disputed := func(status state.FactKind) payments.Observation {
		o := tilltest.Took(tilltest.AMD(30_000))
		o.Disputes = []payments.Dispute{{Ref: "d", Amount: tilltest.AMD(30_000), Status: status}}
		return o
	}
	t.Run("a chargeback that was won", func(t *testing.T) {
		s := newShop(t)
		in, a := s.Sold("1", 30_000)
		s.Learn(a, disputed(state.DisputeOpened))
		require.Equal(t, state.Disputed, s.Read(in.ID).Status)
		require.Equal(t, []string{payments.DisputeOpen}, s.exceptions())
		s.Learn(a, disputed(state.DisputeWon))
		require.Equal(t, [2]any{state.Paid, int64(0)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
		require.Empty(t, s.exceptions())
		require.Equal(t, []string{"note:paid", "note:disputed", "task:dispute_opened", "note:dispute_won", "close_task:closed"}, s.planned("1"))
	})
	t.Run("a chargeback that was lost", func(t *testing.T) {
		s := newShop(t)
		in, a := s.Sold("1", 30_000)
		s.Learn(a, disputed(state.DisputeOpened))
		s.Learn(a, disputed(state.DisputeLost))
		require.Equal(t, [2]any{state.Refunded, int64(30_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
		require.Equal(t, []string{payments.DisputeLost}, s.exceptions())
		require.Contains(t, s.planned("1"), "note:dispute_lost")
		require.NotContains(t, s.planned("1"), "note:refunded", "the merchant refunded nothing")
	})
}

// word is what rests on a person's word of an invoice.
func (s *shop) word(invoice uuid.UUID) (w payments.Word) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		w, err = payments.WordOf(ctx, tx, invoice)
		return err
	})
	return w
}

func TestAPersonsWordIsToldFromTheAcquirers(t *testing.T) {
	s := newShop(t)
	sold, _ := s.Sold("1", 10_000)
	require.Equal(t, payments.Word{Acquirer: true}, s.word(sold.ID))
	in := s.Invoice("2", 50_000)
	require.Equal(t, payments.Word{}, s.word(in.ID))
	payment, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(50_000), ReceivedAt: s.Clock,
		Reference: "R-1", Reason: "at the desk"})
	require.NoError(t, err)
	word := s.word(in.ID)
	require.True(t, word.Operator)
	require.Equal(t, []any{"R-1", "at the desk", s.By.Actor, s.Clock}, []any{word.Manuals[0].Reference, word.Manuals[0].Reason, word.Manuals[0].By, word.Manuals[0].At.In(s.Clock.Location())})
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "of another firm")
	require.NoError(t, err)
	word = s.word(in.ID)
	require.Equal(t, []bool{false, true}, []bool{word.Operator, word.Manuals[0].Reversed}, "a counter-entry takes the word back")

	late, _ := s.cancelledPaid("3", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "accept", Reason: "The deal stands", Reference: "case 7"}))
	word = s.word(late.ID)
	require.Equal(t, []any{state.Decision("accept"), tilltest.AMD(30_000), "The deal stands", "case 7", s.By.Actor},
		[]any{word.Decisions[0].Decision, word.Decisions[0].Amount, word.Decisions[0].Reason, word.Decisions[0].Reference, word.Decisions[0].By})
	require.Equal(t, []bool{true, true}, []bool{word.Acquirer, word.Operator})
}

func TestEachDeedOfAPersonHasItsOwnNoteInTheDeal(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 50_000)
	receive := func(minor int64, method, reference string) uuid.UUID {
		payment, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: method, Amount: tilltest.AMD(minor), ReceivedAt: s.Clock,
			Reference: reference, Reason: "Anna brought it"})
		require.NoError(t, err)
		return payment
	}
	part := receive(20_000, "cash", "till 4")
	receive(30_000, "transfer", "TR-1")
	_, err := s.Reverse(t.Context(), s.ID, s.By, part, "Anna of another firm")
	require.NoError(t, err)
	require.Equal(t, []string{"note:received", "note:received", "note:received_undone"}, s.planned("1"), "one each, and none that says paid")
	var told []string
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT array_agg(body->>'minor' || ' ' || (body->>'by_hand') || ' ' || (body->>'reference') ORDER BY n) FROM effects WHERE body::text NOT LIKE '%Anna%'`).Scan(&told)
	})
	require.Equal(t, []string{"20000 cash till 4", "30000 transfer TR-1", "20000 cash till 4"}, told, "never the reason")

	late, _ := s.cancelledPaid("2", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "accept", Reason: "The deal stands"}))
	_, err = s.UndoDecision(t.Context(), s.ID, s.By, uuid.MustParse(s.word(late.ID).Decisions[0].ID), "It does not")
	require.NoError(t, err)
	notes := slices.DeleteFunc(s.planned("2"), func(line string) bool { return !strings.HasPrefix(line, "note:") })
	require.Equal(t, []string{"note:cancelled", "note:paid_after_cancel", "note:paid", "note:decision_undone"}, notes)
}

func TestMoreThanIsOwedMayHaveBeenReceived(t *testing.T) {
	s := dramShop(t)
	receive := func(in payments.Invoice, amount payments.Money) (uuid.UUID, error) {
		payment, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: amount, ReceivedAt: s.Clock, Reference: "till 4", Reason: "At the desk"})
		return payment, err
	}
	in := s.Invoice("1", 30_000)
	a := s.Try(in)
	for code, amount := range map[string]payments.Money{"amount_too_large": tilltest.AMD(1 << 62), "amount_not_positive": tilltest.AMD(-1), "currency_unknown": {Minor: 1, Currency: "XXQ"}} {
		var why *payments.Invalid
		_, err := receive(in, amount)
		require.ErrorAs(t, err, &why)
		require.Equal(t, code, why.Code)
	}
	payment, err := receive(in, tilltest.AMD(50_000))
	require.NoError(t, err)
	after := s.Read(in.ID)
	require.Equal(t, [3]any{state.Paid, int64(50_000), int64(0)}, [3]any{after.Status, after.Paid, after.Outstanding})
	require.Equal(t, int64(20_000), s.deal("1").Overpaid(), "it is said, and not hidden")
	require.Equal(t, []string{"received 50000 AMD " + in.Number + " till 4"}, s.notes("1"))
	require.Equal(t, map[string]int64{"cash AMD": 50_000, "receivable AMD": -50_000}, balances(s.Shop, payments.Part{Invoice: in.ID}))
	require.Empty(t, s.exceptions())
	_, err = receive(in, tilltest.AMD(1))
	require.ErrorIs(t, err, payments.ErrState, "nothing is owed any more")
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "Miscounted")
	require.NoError(t, err)
	require.Equal(t, [2]any{state.AwaitingPayment, int64(30_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Outstanding})
	_, err = receive(in, tilltest.AMD(31_000))
	require.NoError(t, err)
	s.Learn(a, tilltest.Took(tilltest.AMD(30_000)))
	require.Equal(t, []string{string(state.SecondPayment)}, s.exceptions())

	s.settings(func(p *tenants.PaymentSettings) { p.Rates = map[string]string{"USD/AMD": "400"} })
	dollars, err := s.Create(t.Context(), s.ID, s.By, s.request("2", tilltest.USD(10_000)))
	require.NoError(t, err)
	_, err = receive(dollars, tilltest.AMD(6_000_000))
	require.NoError(t, err)
	d := s.deal("2")
	require.Equal(t, [3]any{"USD", int64(15_000), int64(5_000)}, [3]any{d.Currency, d.Balance.Paid, d.Overpaid()})
}

// notes are what a deal's notes tell, in order: what, how much, of which other invoice and of which payment.
func (s *shop) notes(deal string) (told []string) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT array_agg(concat_ws(' ', body->>'what', body->>'minor', body->>'currency', body->>'invoice', body->>'other', body->>'reference') ORDER BY n)
			FROM effects WHERE deal_id = $1 AND kind = 'note'`, deal).Scan(&told)
	})
	return told
}

func TestWhatAPersonDecidedIsToldWithWhatCame(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 100_000)
	a := s.Try(in)
	s.Learn(a, tilltest.Took(tilltest.AMD(90_000)))
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "write_off", Reason: "A regular customer"}))
	ref := " AMD " + in.Number + " T-" + in.Number + "-1"
	require.Equal(t, []string{"wrong_amount 90000" + ref, "paid 90000" + ref}, s.notes("1"), "not what was asked for")
}

func TestAMoveIsToldToBothDeals(t *testing.T) {
	s := newShop(t)
	from, _ := s.cancelledPaid("2", 30_000)
	to := s.Invoice("3", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "move", Reason: "Paid by the wrong link", Invoice: to.Number}))
	payment := " T-" + from.Number + "-1"
	left := []string{"cancelled 30000 AMD " + from.Number, "paid_after_cancel 30000 AMD " + from.Number + payment,
		"moved_out 30000 AMD " + from.Number + " " + to.Number + payment}
	came := []string{"moved_in 30000 AMD " + to.Number + " " + from.Number + payment}
	require.Equal(t, [2][]string{left, came}, [2][]string{s.notes("2"), s.notes("3")})
	_, err := s.UndoMove(t.Context(), s.ID, s.By, uuid.MustParse(s.word(to.ID).Moves[0].ID), "It was right")
	require.NoError(t, err)
	left = append(left, "move_undone 30000 AMD "+from.Number+" "+to.Number+payment)
	came = append(came, "move_undone 30000 AMD "+to.Number+" "+from.Number+payment)
	require.Equal(t, [2][]string{left, came}, [2][]string{s.notes("2"), s.notes("3")})
}

func TestAMoveIsTakenBackOnce(t *testing.T) {
	s := newShop(t)
	from, _ := s.cancelledPaid("2", 30_000)
	to := s.Invoice("3", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "move", Reason: "Paid by the wrong link", Invoice: to.Number}))
	move := uuid.MustParse(s.word(to.ID).Moves[0].ID)
	_, err := s.UndoMove(t.Context(), s.ID, payments.By{Actor: "user:2", Role: tenants.Accountant}, move, "It was right")
	require.ErrorIs(t, err, payments.ErrRole)
	_, err = s.UndoMove(t.Context(), s.ID, s.By, move, " ")
	require.ErrorAs(t, err, new(*payments.Invalid))
	back, err := s.UndoMove(t.Context(), s.ID, s.By, move, "It was right")
	require.NoError(t, err)
	require.Equal(t, []any{from.ID, state.ManualReview, state.AwaitingPayment}, []any{back.ID, back.Status, s.Read(to.ID).Status})
	_, err = s.UndoMove(t.Context(), s.ID, s.By, move, "Once more")
	require.ErrorIs(t, err, payments.ErrState)
	_, err = s.UndoMove(t.Context(), s.ID, s.By, uuid.New(), "Whatever")
	require.ErrorIs(t, err, payments.ErrNotFound)
}

func TestWhatWasPaidForADealThatIsGoneFollowsToTheOneThatTookItsPlace(t *testing.T) {
	s := newShop(t)
	paid, _ := s.Sold("1", 30_000)
	also, _ := s.Sold("1", 20_000)
	open := s.Invoice("1", 10_000)
	small, to := s.Invoice("2", 40_000), s.Invoice("2", 60_000)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return payments.Raise(ctx, tx, payments.Exception{Kind: payments.DealGone, Key: "deal_gone:1", DealID: "1", OpenedAt: s.Clock}, "")
	})
	move := func(to string) error {
		return s.decide(s.By, payments.Choice{Decision: "move", Reason: "Merged into deal 2", Invoice: to})
	}
	require.ErrorIs(t, s.decide(payments.By{Actor: "user:3", Role: tenants.Accountant}, payments.Choice{Decision: "move", Reason: "r", Invoice: to.Number}), payments.ErrRole)
	require.ErrorIs(t, move(open.Number), payments.ErrInvalid, "an invoice of the deal that is gone")
	require.ErrorIs(t, move(small.Number), payments.ErrInvalid, "more than it asks for")
	require.Equal(t, state.Paid, s.Read(paid.ID).Status, "all of it or nothing")
	require.NoError(t, move(to.Number))
	require.Equal(t, [2]int64{50_000, 10_000}, [2]int64{s.Read(to.ID).Paid, s.Read(to.ID).Outstanding})
	for _, in := range []payments.Invoice{paid, also} {
		require.Equal(t, state.Cancelled, s.Read(in.ID).Status, "its link does not ask again")
	}
	require.Equal(t, state.AwaitingPayment, s.Read(open.ID).Status)
	require.Empty(t, s.exceptions())
	require.NotContains(t, balances(s.Shop, payments.Part{}), "transfers AMD")
	back, err := s.UndoMove(t.Context(), s.ID, s.By, uuid.MustParse(s.word(to.ID).Moves[0].ID), "Not merged after all")
	require.NoError(t, err)
	require.Equal(t, []any{paid.ID, int64(30_000), int64(20_000)}, []any{back.ID, back.Paid, s.Read(to.ID).Paid})
}

func TestADecisionAboutAReviewIsTakenBackByWhoMayMakeIt(t *testing.T) {
	for _, c := range []struct {
		decision  state.Decision
		role, not tenants.Role
	}{{state.Accept, tenants.Manager, ""}, {state.WriteOff, tenants.Admin, tenants.Accountant}} {
		t.Run(string(c.decision), func(t *testing.T) {
			s := newShop(t)
			in := s.Invoice("1", 100_000)
			a := s.Try(in)
			s.Learn(a, tilltest.Took(tilltest.AMD(90_000)))
			open, review := s.Read(in.ID), s.open()[0]
			who := payments.By{Actor: "user:5", Role: c.role}
			take := func() {
				s.Clock = s.Clock.Add(time.Minute)
				require.NoError(t, s.decide(who, payments.Choice{Decision: string(c.decision), Reason: "A regular customer", Reference: "case 7"}))
				s.Clock = s.Clock.Add(time.Minute)
			}
			take()
			require.Empty(t, s.exceptions())
			decided, books, outstanding := s.word(in.ID).Decisions[0], s.holds("write_offs"), s.Read(in.ID).Outstanding
			require.Equal(t, map[state.Decision][2]int64{state.Accept: {0, 10_000}, state.WriteOff: {10_000, 0}}[c.decision], [2]int64{books, outstanding})
			id := uuid.MustParse(decided.ID)
			undo := func(by payments.By, id uuid.UUID, reason string) error {
				_, err := s.UndoDecision(t.Context(), s.ID, by, id, reason)
				return err
			}
			require.ErrorIs(t, undo(payments.By{Actor: "user:6", Role: c.not}, id, "Wrong customer"), payments.ErrRole)
			require.ErrorIs(t, undo(who, id, " "), payments.ErrInvalid)
			require.ErrorIs(t, undo(who, uuid.New(), "Wrong customer"), payments.ErrNotFound)
			require.NoError(t, undo(who, id, "Wrong customer"))
			require.ErrorIs(t, undo(who, id, "Wrong customer"), payments.ErrState)

			after := s.Read(in.ID)
			require.Equal(t, [4]any{state.ManualReview, open.Paid, open.Outstanding, open.PaidAt}, [4]any{after.Status, after.Paid, after.Outstanding, after.PaidAt})
			require.Equal(t, []string{string(state.WrongAmount)}, s.exceptions(), "a person is asked again")
			require.NotEqual(t, review.ID, s.open()[0].ID, "the one that was decided stays as it was")
			require.Zero(t, s.holds("write_offs"), "the counter-entry")
			word := s.word(in.ID)
			require.Equal(t, [3]bool{true, false, true}, [3]bool{word.Decisions[0].Undone, word.Operator, word.Acquirer})

			take() // the same once more is another decision
			require.Equal(t, [3]any{after.Paid, outstanding, books}, [3]any{s.Read(in.ID).Paid, s.Read(in.ID).Outstanding, s.holds("write_offs")})
			word = s.word(in.ID)
			require.Equal(t, [3]bool{true, false, true}, [3]bool{word.Decisions[0].Undone, word.Decisions[1].Undone, word.Operator})
			require.ErrorIs(t, undo(who, id, "Wrong customer"), payments.ErrState)
			require.NoError(t, undo(who, uuid.MustParse(word.Decisions[1].ID), "Again"))
			require.Equal(t, []string{string(state.WrongAmount)}, s.exceptions())
			require.Equal(t, []string{"review.resolved user:5 A regular customer", "review.reopened user:5 Wrong customer", "review.resolved user:5 A regular customer",
				"review.reopened user:5 Again"}, s.trail("review."))
		})
	}
}

// holds is what an account of the ledger holds, over the tenant.
func (s *shop) holds(account ledger.Account) (minor int64) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Balances(ctx, tx, payments.Part{})
		for _, b := range all {
			if b.Account == account {
				minor += b.Minor
			}
		}
		return err
	})
	return minor
}

// trail is what the audit trail says of these actions: what, who, why.
func (s *shop) trail(actions string) (lines []string) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		rows, err := tenants.Rows[struct {
			Line string `db:"line"`
		}](ctx, tx, `SELECT action || ' ' || actor || ' ' || (evidence->>'reason') AS line FROM audit WHERE starts_with(action, $1) ORDER BY id`, actions)
		for _, r := range rows {
			lines = append(lines, r.Line)
		}
		return err
	})
	return lines
}

func TestADecisionStandsWhileItsMoneyIsOnTheWayBack(t *testing.T) {
	s := newShop(t)
	in, _ := s.cancelledPaid("1", 30_000)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "accept", Reason: "The deal stands"}))
	_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(10_000), Reason: "Returned"})
	require.NoError(t, err)
	_, err = s.UndoDecision(t.Context(), s.ID, s.By, uuid.MustParse(s.word(in.ID).Decisions[0].ID), "It does not")
	require.ErrorIs(t, err, payments.ErrState)
}

func TestAnInvoiceThatIsOwedAgainRunsOutAgain(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 50_000)
	payment, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(50_000), ReceivedAt: s.Clock,
		Reference: "R-1", Reason: "at the desk"})
	require.NoError(t, err)
	require.Zero(t, s.standing(outbox.Expire, in.ID.String()))
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "of another firm")
	require.NoError(t, err)
	require.Equal(t, 1, s.standing(outbox.Expire, in.ID.String()))
}

// standing counts the open promises of this kind and key.
func (s *shop) standing(kind outbox.Kind, key string) (n int) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*)::int FROM outbox WHERE kind = $1 AND key = $2 AND done_at IS NULL AND dead_at IS NULL`, string(kind), key).Scan(&n)
	})
	return n
}
