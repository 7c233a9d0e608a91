package payments_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/stretchr/testify/require"
)

func TestARefundThatFailsAfterItWasDoneIsTakenBackByCounterEntries(t *testing.T) {
	d := newDesk(t, stripe.Key)
	in, genuine := d.paid(0)
	require.Equal(t, http.StatusOK, d.hand(genuine))
	d.work()
	d.ask(in, 400_000)
	d.work()
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 1)))
	d.work()
	require.Equal(t, [3]any{state.PartiallyRefunded, int64(400_000), "done"}, [3]any{d.Read(in.ID).Status, d.Read(in.ID).Refunded, d.refunds(in)[0].Status})

	ref := d.server.Books()[0].Ref
	status, answer := d.command("refund_status", map[string]any{"ref": ref, "status": "failed"})
	require.Equal(t, http.StatusOK, status, answer)
	for range 2 {
		require.Equal(t, http.StatusOK, d.hand(d.next(t, 2)), "the event of its failure")
		d.work()
	}
	after := d.Read(in.ID)
	require.Equal(t, [3]any{state.Paid, int64(1_500_000), int64(0)}, [3]any{after.Status, after.Paid, after.Refunded})
	require.Equal(t, map[string]int64{"acquirer:stripe AMD": 1_500_000, "receivable AMD": -1_500_000}, balances(d.Shop, payments.Part{Invoice: in.ID}))
	require.Equal(t, "refused", d.refunds(in)[0].Status)
	require.Equal(t, []string{payments.RefundFailed}, d.exceptions())
	require.EqualValues(t, 400_000, d.open()[0].Minor)
	require.Equal(t, []string{"note:paid", "note:refunded", "note:refund_failed", "task:refund_failed"}, d.planned("1"))

	d.advance(time.Minute)
	require.NoError(t, d.decide(d.By, payments.Choice{Decision: "refund", Reason: "Once more"}))
	d.work()
	require.Empty(t, d.exceptions())
	require.Equal(t, [2]any{state.PartiallyRefunded, int64(400_000)}, [2]any{d.Read(in.ID).Status, d.Read(in.ID).Refunded})
	require.Equal(t, map[string]int64{"acquirer:stripe AMD": 1_100_000, "receivable AMD": -1_500_000, "customer_refunds AMD": 400_000},
		balances(d.Shop, payments.Part{Invoice: in.ID}))
	require.Equal(t, []string{"note:paid", "note:refunded", "note:refund_failed", "task:refund_failed", "close_task:closed", "note:refunded"}, d.planned("1"))
}

func TestARefundThatFailsBeforeItWasDoneEndsWithoutMoney(t *testing.T) {
	s, g, in, a := returns(t)
	g.give = func(payments.Order, payments.Money) error { return payments.ErrUnknown } // it is on its way
	id := s.ask(in, 40_000)
	_, err := s.SendRefund(t.Context(), s.ID, id)
	require.NoError(t, err)
	o := tilltest.Took(tilltest.AMD(100_000))
	o.Failed = []payments.FailedRefund{{Ref: id.String(), Amount: tilltest.AMD(40_000)}}
	s.Tell(a, o)
	next, err := s.SendRefund(t.Context(), s.ID, id)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Equal(t, [3]any{state.Paid, int64(0), "refused"}, [3]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded, s.refunds(in)[0].Status})
	require.Equal(t, []string{payments.RefundFailed}, s.exceptions())
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "refund_outside", Reason: "The card is closed", Reference: "TR-9"}))
	require.Equal(t, [2]any{state.PartiallyRefunded, int64(40_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Refunded})
	require.Empty(t, s.exceptions())
}
