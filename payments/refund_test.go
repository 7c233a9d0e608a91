package payments_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// giver is a till that gives money back when it is asked, as often as it is asked.
type giver struct {
	*tilltest.Till
	calls atomic.Int64
	give  func(o payments.Order, amount payments.Money) error
}

func (g *giver) Refund(_ context.Context, _ payments.Connection, o payments.Order, _ string, amount payments.Money) error {
	g.calls.Add(1)
	return g.give(o, amount)
}

// returns is a paid invoice of a shop whose till can give back.
func returns(t *testing.T) (*shop, *giver, payments.Invoice, payments.Attempt) {
	s := newShop(t)
	g := &giver{Till: s.Till}
	s.Providers["till"] = g
	in, a := s.Sold("1", 100_000)
	g.give = func(_ payments.Order, amount payments.Money) error {
		s.Tell(a, tilltest.Back(tilltest.AMD(100_000), amount))
		return nil
	}
	return s, g, in, a
}

// ask asks for a refund and returns its id.
func (s *shop) ask(in payments.Invoice, minor int64) uuid.UUID {
	s.Helper()
	_, err := s.Refund(s.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(minor), Reason: "Returned", Key: uuid.NewString(),
		Request: []byte("r")})
	require.NoError(s, err)
	all := s.refunds(in)
	return all[len(all)-1].ID
}

func TestTwoWorkersGiveMoneyBackOnce(t *testing.T) {
	s, g, in, _ := returns(t)
	id := s.ask(in, 40_000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := s.SendRefund(s.Context(), s.ID, id)
			if err != nil {
				s.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1), g.calls.Load())
	_, err := s.SendRefund(t.Context(), s.ID, id)
	require.NoError(t, err)
	after := s.Read(in.ID)
	require.Equal(t, [3]any{state.PartiallyRefunded, int64(40_000), "done"}, [3]any{after.Status, after.Refunded, s.refunds(in)[0].Status})
	require.Equal(t, [3]any{in.Paid, in.PaidAt, in.Reference}, [3]any{after.Paid, after.PaidAt, after.Reference}, "a refund leaves the payment standing")
	require.NotNil(t, after.RefundedAt)
}

func TestAWorkerThatDiesBetweenTheCallAndItsRecordGivesBackOnce(t *testing.T) {
	for name, moved := range map[string]bool{"after the money moved": true, "before": false} {
		t.Run(name, func(t *testing.T) {
			s, g, in, a := returns(t)
			id := s.ask(in, 40_000)
			dying, die := context.WithCancel(t.Context())
			g.give = func(_ payments.Order, amount payments.Money) error {
				if moved {
					s.Tell(a, tilltest.Back(tilltest.AMD(100_000), amount))
				}
				die() // nothing that follows reaches the database
				return nil
			}
			_, err := s.SendRefund(dying, s.ID, id)
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, s.Read(in.ID).Refunded)
			next, err := s.SendRefund(t.Context(), s.ID, id)
			require.NoError(t, err)
			require.Equal(t, moved, next.IsZero(), "an unclear refund is looked at again")
			s.Clock = s.Clock.Add(16 * time.Minute)
			_, err = s.SendRefund(t.Context(), s.ID, id)
			require.NoError(t, err)
			require.Equal(t, int64(1), g.calls.Load(), "never twice")
			if moved {
				require.Equal(t, int64(40_000), s.Read(in.ID).Refunded)
				require.Empty(t, s.exceptions())
				return
			}
			require.Equal(t, []string{payments.RefundUnknown}, s.exceptions())
			_, err = s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(100), Reason: "Once more", Key: "k", Request: []byte("k")})
			require.ErrorIs(t, err, payments.ErrState, "nothing else goes back until a person has looked")
			require.NoError(t, s.decide(s.By, payments.Choice{Decision: "not_refunded", Reason: "The bank says so"}))
			_, err = s.SendRefund(t.Context(), s.ID, id)
			require.NoError(t, err)
			require.Equal(t, "refused", s.refunds(in)[0].Status, "a person's word stands")
			require.Equal(t, int64(1), g.calls.Load())
		})
	}
}

func TestAnUnclearRefundIsDoneWhenTheAcquirerShowsIt(t *testing.T) {
	s, g, in, a := returns(t)
	g.give = func(payments.Order, payments.Money) error { return payments.ErrUnknown }
	id := s.ask(in, 40_000)
	for range 3 {
		_, err := s.SendRefund(t.Context(), s.ID, id)
		require.NoError(t, err)
		s.Clock = s.Clock.Add(10 * time.Minute)
	}
	require.Equal(t, []string{payments.RefundUnknown}, s.exceptions())
	s.Tell(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(40_000)))
	next, err := s.SendRefund(t.Context(), s.ID, id)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Empty(t, s.exceptions(), "it answers itself")
	require.Equal(t, [2]any{int64(1), int64(40_000)}, [2]any{g.calls.Load(), s.Read(in.ID).Refunded})
}

func TestRefundsAtOnceNeverExceedWhatWasPaid(t *testing.T) {
	s, _, in, _ := returns(t)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			_, err := s.Refund(s.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(60_000), Reason: "Returned",
				Key: uuid.NewString(), Request: []byte("r")})
			if err == nil {
				taken.Add(1)
			} else if !errors.Is(err, payments.ErrState) && !errors.Is(err, payments.ErrInvalid) {
				s.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1), taken.Load())
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var asked int64
		err := tx.QueryRow(ctx, `SELECT sum(minor) FROM refunds WHERE status <> 'refused'`).Scan(&asked)
		require.Equal(t, int64(60_000), asked)
		return err
	})
}
