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
	"github.com/dealpay/dealpay/tenants/tenantstest"
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

func TestARefundThatNobodyCanLookUpReachesAPerson(t *testing.T) {
	for name, failure := range map[string]error{"the acquirer is down": payments.ErrUnavailable, "it refuses the credentials": payments.ErrCredentials} {
		t.Run(name, func(t *testing.T) {
			s, g, in, a := returns(t)
			g.give = func(payments.Order, payments.Money) error { return payments.ErrUnknown }
			id := s.ask(in, 40_000)
			s.Till.Fail(failure)
			_, err := s.SendRefund(t.Context(), s.ID, id)
			require.ErrorIs(t, err, failure, "it may be back in a moment")
			require.Equal(t, "sending", s.refunds(in)[0].Status)
			for range 100 { // longer than a promise is kept that only fails
				s.Clock = s.Clock.Add(time.Hour)
				next, err := s.SendRefund(t.Context(), s.ID, id)
				require.NoError(t, err)
				require.Equal(t, time.Hour, next.Sub(s.Clock))
				require.Equal(t, "unknown", s.refunds(in)[0].Status)
			}
			unclear := func() (n int) {
				for _, e := range s.open() {
					if e.Kind == payments.RefundUnknown {
						n++
					}
				}
				return n
			}
			require.Equal(t, 1, unclear())
			s.Till.Fail(nil)
			s.Tell(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(40_000)))
			next, err := s.SendRefund(t.Context(), s.ID, id)
			require.NoError(t, err)
			require.Zero(t, next)
			require.Equal(t, [3]any{"done", int64(40_000), 0}, [3]any{s.refunds(in)[0].Status, s.Read(in.ID).Refunded, unclear()})
			require.Equal(t, int64(1), g.calls.Load(), "never twice")
			s.ask(in, 60_000)
		})
	}
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

// limited is a shop whose refunds above 50,000 minor units need a second person, and an invoice of it that was paid twice.
func (s *shop) limited() (payments.Invoice, [2]payments.Attempt) {
	s.Helper()
	s.settings(func(p *tenants.PaymentSettings) { p.RefundLimits = map[string]int64{"AMD": 50_000} })
	in := s.Invoice("1", 100_000)
	first := s.Try(in)
	s.Learn(first, payments.Observation{Status: state.AttemptFailed})
	second := s.Try(in)
	require.NotEqual(s, first.ID, second.ID)
	s.Learn(first, tilltest.Took(tilltest.AMD(100_000)))
	s.Learn(second, tilltest.Took(tilltest.AMD(100_000)))
	require.NoError(s, s.decide(s.By, payments.Choice{Decision: "accept", Reason: "On account"}))
	return in, [2]payments.Attempt{first, second}
}

// back asks for a refund of one of an invoice's payments, and says in which status it begins.
func (s *shop) back(by payments.By, in payments.Invoice, a payments.Attempt, minor int64) string {
	s.Helper()
	_, err := s.Refund(s.Context(), s.ID, by, in.ID, payments.RefundRequest{Amount: tilltest.AMD(minor), Reason: "Returned", Attempt: a.ID.String()})
	require.NoError(s, err)
	all := s.refunds(in)
	return all[len(all)-1].Status
}

func TestPartsOfARefundDoNotGetByTheSecondPerson(t *testing.T) {
	s := newShop(t)
	in, paid := s.limited()
	other := payments.By{Actor: "user:2", Role: tenants.Admin}
	require.Equal(t, "requested", s.back(s.By, in, paid[0], 30_000))
	require.Equal(t, "waiting", s.back(other, in, paid[1], 20_001), "by whomever")
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "reject", Reason: "A mistake"}))
	require.Equal(t, "requested", s.back(other, in, paid[1], 20_000), "what was rejected counts no more")

	apart := s.Invoice("1", 100_000)
	a := s.Try(apart)
	s.Learn(a, tilltest.Took(tilltest.AMD(100_000)))
	require.Equal(t, "requested", s.back(s.By, apart, a, 50_000), "another invoice")

	first := s.ID
	s.ID = tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "k"}, false))
	theirs, taken := s.limited()
	require.Equal(t, "requested", s.back(s.By, theirs, taken[0], 50_000), "another tenant")

	s.ID, s.Clock = first, s.Clock.Add(25*time.Hour)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE refunds SET status = 'done'`) // or no other could begin
		return err
	})
	require.Equal(t, "requested", s.back(s.By, in, paid[0], 50_000), "a day later")
	require.Equal(t, "waiting", s.back(s.By, in, paid[1], 1), "and together with that")
}

func TestRefundsAtOnceAreCountedTogether(t *testing.T) {
	s := newShop(t)
	in, paid := s.limited()
	first, other := s.ID, tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	s.ID = other
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "k"}, false))
	their, taken := s.limited()
	var all sync.WaitGroup
	ask := func(id tenants.ID, invoice uuid.UUID, a payments.Attempt) {
		all.Go(func() {
			if _, err := s.Refund(s.Context(), id, s.By, invoice, payments.RefundRequest{Amount: tilltest.AMD(40_000), Reason: "Returned", Attempt: a.ID.String()}); err != nil {
				s.Errorf("%v", err)
			}
		})
	}
	for i := range paid {
		ask(first, in.ID, paid[i])
		ask(other, their.ID, taken[i])
	}
	all.Wait()
	theirs := s.refunds(their)
	s.ID = first
	for _, refunds := range [][]payments.Refunding{s.refunds(in), theirs} {
		require.Len(t, refunds, 2)
		require.ElementsMatch(t, []string{"requested", "waiting"}, []string{refunds[0].Status, refunds[1].Status})
	}
}

func TestARefundThatAPersonCallsMadeDoesNotGoBackTwice(t *testing.T) {
	s, g, in, a := returns(t)
	g.give = func(payments.Order, payments.Money) error { return payments.ErrUnknown }
	id := s.ask(in, 60_000)
	for range 3 {
		_, err := s.SendRefund(t.Context(), s.ID, id)
		require.NoError(t, err)
		s.Clock = s.Clock.Add(10 * time.Minute)
	}
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "refunded", Reason: "Seen in its console", Reference: "RRN 5"}))
	back := func(minor int64) {
		t.Helper()
		after := s.Read(in.ID)
		require.Equal(t, [2]any{state.PartiallyRefunded, minor}, [2]any{after.Status, after.Refunded})
		require.Equal(t, map[string]int64{"acquirer:till AMD": 100_000 - minor, "customer_refunds AMD": minor, "receivable AMD": -100_000},
			balances(s.Shop, payments.Part{Invoice: in.ID}))
	}
	back(60_000)
	require.Empty(t, s.exceptions())
	_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(60_000), Reason: "Once more", Key: "k", Request: []byte("k")})
	var refused *payments.Invalid
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "refund_too_large", refused.Code)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var source, by, reference string
		err := tx.QueryRow(ctx, `SELECT evidence->>'source', evidence->>'by', evidence->>'reference' FROM facts WHERE kind = 'refund_total'`).Scan(&source, &by, &reference)
		require.Equal(t, [3]string{"person", "user:1", "RRN 5"}, [3]string{source, by, reference})
		return err
	})

	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(60_000)))
	back(60_000) // the acquirer says the same at last
	s.Learn(a, tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(75_000)))
	back(75_000)
	require.Equal(t, int64(1), g.calls.Load())
}
