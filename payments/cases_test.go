package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// outcome is what is to be seen of money that came in an unusual way.
type outcome struct {
	status      state.Status
	paid, owing int64
	exception   string // empty: none
	ledger      map[string]int64
}

// TestEveryUnusualWayOfPayingHasItsOutcome goes through them on the database: the invoice, one exception with one task, and
// the money in the ledger. What people may decide then is tested beside the fold and over the API.
func TestEveryUnusualWayOfPayingHasItsOutcome(t *testing.T) {
	const owed = 30_000
	taken := map[string]int64{"acquirer:till AMD": owed, "receivable AMD": -owed}
	twice := map[string]int64{"acquirer:till AMD": 2 * owed, "receivable AMD": -2 * owed}
	paid := tilltest.Took(tilltest.AMD(owed))
	for name, c := range map[string]struct {
		cause func(s *shop, in payments.Invoice)
		want  outcome
	}{
		"after the link's time": {func(s *shop, in payments.Invoice) {
			a := s.Try(in)
			s.Clock = in.ExpiresAt
			_, err := s.Expire(s.Context(), s.ID, in.ID)
			require.NoError(s, err)
			require.Equal(s, state.Expired, s.Read(in.ID).Status)
			s.Clock = s.Clock.Add(time.Hour)
			s.Learn(a, paid)
		}, outcome{state.ManualReview, owed, owed, string(state.PaidAfterExpiry), taken}},
		"in time, and learnt after it": {func(s *shop, in payments.Invoice) {
			a := s.Try(in)
			s.Tell(a, paid)
			s.Clock = in.ExpiresAt
			_, err := s.Expire(s.Context(), s.ID, in.ID)
			require.NoError(s, err)
		}, outcome{state.Paid, owed, 0, "", taken}},
		"twice for one invoice": {func(s *shop, in payments.Invoice) {
			first := s.Try(in)
			s.Learn(first, payments.Observation{Status: state.AttemptExpired})
			second := s.Try(in)
			s.Learn(second, paid)
			s.Learn(first, paid)
		}, outcome{state.ManualReview, 2 * owed, 0, string(state.SecondPayment), twice}},
		"for a cancelled link": {func(s *shop, in payments.Invoice) {
			a := s.Try(in)
			_, err := s.Cancel(s.Context(), s.ID, s.By, in.ID)
			require.NoError(s, err)
			s.Learn(a, paid)
		}, outcome{state.ManualReview, owed, 0, string(state.PaidAfterCancel), taken}},
		"for a superseded link": {func(s *shop, in payments.Invoice) {
			a := s.Try(in)
			_, err := s.Replace(s.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}})
			require.NoError(s, err)
			s.Learn(a, paid)
		}, outcome{state.ManualReview, owed, 0, string(state.PaidAfterCancel), taken}},
		"another amount": {func(s *shop, in payments.Invoice) { s.Learn(s.Try(in), tilltest.Took(tilltest.AMD(owed-1))) },
			outcome{state.ManualReview, owed - 1, owed, string(state.WrongAmount), map[string]int64{"acquirer:till AMD": owed - 1, "receivable AMD": 1 - owed}}},
		"another currency": {func(s *shop, in payments.Invoice) { s.Learn(s.Try(in), tilltest.Took(tilltest.USD(owed))) },
			outcome{state.ManualReview, 0, owed, string(state.WrongCurrency), map[string]int64{"acquirer:till USD": owed, "unmatched USD": -owed}}},
		"at another merchant": {func(s *shop, in payments.Invoice) {
			o := paid
			o.Foreign = true
			s.Learn(s.Try(in), o)
		}, outcome{state.ManualReview, owed, owed, string(state.WrongMerchant), taken}},
		"held": {func(s *shop, in payments.Invoice) { s.Learn(s.Try(in), payments.Observation{Status: state.Authorized}) },
			outcome{state.AwaitingPayment, 0, owed, "", map[string]int64{}}},
		"held and released by the bank": {func(s *shop, in payments.Invoice) {
			a := s.Try(in)
			s.Learn(a, payments.Observation{Status: state.Authorized})
			s.Learn(a, payments.Observation{Status: state.AttemptCancelled, Refunded: tilltest.AMD(owed)})
		}, outcome{state.AwaitingPayment, 0, owed, "", map[string]int64{}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			in := s.Invoice("1", owed)
			c.cause(s, in)
			after := s.Read(in.ID)
			require.Equal(t, [3]any{c.want.status, c.want.paid, c.want.owing}, [3]any{after.Status, after.Paid, after.Outstanding})
			require.Equal(t, c.want.ledger, balances(s.Shop, payments.Part{Invoice: in.ID}))
			if c.want.exception == "" {
				require.Empty(t, s.exceptions())
				return
			}
			require.Equal(t, []string{c.want.exception}, s.exceptions())
			require.Contains(t, s.planned("1"), "task:"+c.want.exception)
			require.NoError(t, s.CheckInvoice(t.Context(), s.ID, in.ID))
			require.Len(t, s.exceptions(), 1, "asked again, it is the same")
		})
	}
}

func TestMoneyThatNamesNoAttemptIsInTheLedger(t *testing.T) {
	d := newDesk(t, vposam.Key)
	status, _ := d.command("orphan", map[string]any{"amount_minor": 700_000, "currency": "AMD", "url": d.storm.address})
	require.Equal(t, http.StatusOK, status)
	genuine := d.next(t, 0)
	for range 2 {
		require.Equal(t, http.StatusOK, d.hand(genuine))
		d.advance(2 * time.Minute) // the patience of a notice
		d.work()
	}
	e := d.server.Books()[0]
	require.Equal(t, []string{payments.Orphan}, d.exceptions())
	require.Equal(t, e.Captured, d.open()[0].Minor)
	require.Equal(t, map[string]int64{"acquirer:vpos_am AMD": e.Captured, "unmatched AMD": -e.Captured}, balances(d.Shop, payments.Part{}))
	var told []string
	require.NoError(t, d.Movements(t.Context(), d.ID, d.Now().AddDate(0, 0, -2), d.Now().AddDate(0, 0, 2), func(m payments.Movement) error {
		told = append(told, fmt.Sprintf("%s %s %s %d", m.Kind, m.Acquirer, m.Provider, m.Amount))
		return nil
	}))
	require.Equal(t, []string{fmt.Sprintf("capture vpos_am %s %d", e.Ref, e.Captured)}, told)
	require.NoError(t, d.decide(d.By, payments.Choice{Decision: "dismiss", Reason: "Another shop's"}))

	d.command("refund", map[string]any{"ref": e.Ref})
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 1)))
	d.advance(2 * time.Minute)
	d.work()
	require.Empty(t, d.exceptions(), "decided once")
	d.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Balances(ctx, tx, payments.Part{})
		require.Equal(t, []payments.Balance{{Account: "customer_refunds", Currency: "AMD", Minor: e.Captured}, {Account: "unmatched", Currency: "AMD", Minor: -e.Captured}}, all)
		return err
	})
}

// strays brings money that names no attempt, and makes it an exception.
func strays(t *testing.T) *desk {
	d := newDesk(t, vposam.Key)
	status, _ := d.command("orphan", map[string]any{"amount_minor": 700_000, "currency": "AMD", "url": d.storm.address})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 0)))
	d.advance(2 * time.Minute)
	d.work()
	require.Equal(t, []string{payments.Orphan}, d.exceptions())
	return d
}

func TestMoneyThatNamesNoAttemptGoesBackByHand(t *testing.T) {
	d := strays(t)
	back := payments.Choice{Decision: "refund_outside", Reason: "Nobody's here", Method: payments.ByCash}
	require.ErrorIs(t, d.decide(d.By, back), payments.ErrInvalid, "by which cash order")
	back.Reference = "KO-1"
	require.ErrorIs(t, d.decide(payments.By{Actor: "user:2", Role: tenants.Accountant}, back), payments.ErrRole)
	require.NoError(t, d.decide(d.By, back))
	require.Empty(t, d.exceptions())
	e := d.server.Books()[0]
	require.Equal(t, map[string]int64{"acquirer:vpos_am AMD": e.Captured, "cash AMD": -e.Captured}, balances(d.Shop, payments.Part{}), "nothing waits for its owner")

	d.command("refund", map[string]any{"ref": e.Ref})
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 1)))
	d.advance(2 * time.Minute)
	d.work()
	require.Equal(t, []string{payments.Orphan}, d.exceptions(), "it went back a second time")
	require.ErrorIs(t, d.decide(d.By, back), payments.ErrState, "and not a third")
}

func TestMoneyThatNamedNoInvoiceIsAmongWhatPersonsSaid(t *testing.T) {
	d := strays(t)
	to := d.Invoice("3", d.open()[0].Minor)
	require.NoError(t, d.decide(d.By, payments.Choice{Decision: "move", Reason: "Paid by an old QR", Invoice: to.Number}))
	acts := func() (all []payments.Act) {
		d.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
			all, err = payments.Acts(ctx, tx, 0, 10)
			return err
		})
		return all
	}
	made := acts()
	require.Len(t, made, 1)
	require.Equal(t, []any{state.MovedIn, to.ID, to.Minor, "Paid by an old QR", false, tenants.Admin},
		[]any{made[0].Kind, made[0].InvoiceID, made[0].Minor, made[0].Evidence.Reason, made[0].Undone, made[0].Undoer()})
	told := fmt.Sprintf("moved_in %d AMD %s %s", to.Minor, to.Number, d.server.Books()[0].Ref)
	require.Equal(t, []string{told}, d.notes("3"))
	_, err := d.UndoMove(t.Context(), d.ID, d.By, uuid.MustParse(made[0].Ref), "Of another customer")
	require.NoError(t, err)
	require.Equal(t, []string{told, strings.Replace(told, "moved_in", "move_undone", 1)}, d.notes("3"))
	require.True(t, acts()[0].Undone)
}

func TestTheOldestDecisionsAreListedAndTakenBackByTheirPayment(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 100_000)
	a := s.Try(in)
	s.Learn(a, tilltest.Took(tilltest.AMD(90_000)))
	s.In(func(ctx context.Context, tx *tenants.Tx) error { // as decisions were kept before they had names
		_, err := tx.Exec(ctx, `INSERT INTO facts (tenant_id, invoice_id, kind, at, attempt_id, decision, evidence, dedupe)
			VALUES ($1, $2, 'resolved', $3, $4, 'accept', '{"source": "person", "by": "user:1", "reason": "A regular customer"}', 'old')`, tx.Tenant().String(), in.ID, s.Clock, a.ID)
		return err
	})
	for _, undone := range []bool{false, true} {
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			acts, err := payments.Acts(ctx, tx, 0, 10)
			require.Len(t, acts, 1)
			require.Equal(t, []any{a.ID.String(), int64(90_000), undone, tenants.Manager}, []any{acts[0].Ref, acts[0].Minor, acts[0].Undone, acts[0].Undoer()})
			return err
		})
		if !undone {
			_, err := s.UndoDecision(t.Context(), s.ID, s.By, a.ID, "Wrong customer")
			require.NoError(t, err)
		}
	}
}

func TestMoneyOfAnotherMerchantIsLeftOut(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 100_000)
	a := s.Try(in)
	seen := tilltest.Took(tilltest.AMD(100_000))
	seen.Foreign = true
	s.Learn(a, seen)
	require.Equal(t, []string{"accept", "not_ours"}, s.open()[0].Decisions())
	require.NoError(t, s.decide(payments.By{Actor: "user:5", Role: tenants.Manager}, payments.Choice{Decision: "not_ours", Reason: "The bank says so", Reference: "case 7"}))
	require.Empty(t, s.exceptions())
	after := s.Read(in.ID)
	require.Equal(t, [4]any{state.AwaitingPayment, int64(0), int64(100_000), true}, [4]any{after.Status, after.Paid, after.Outstanding, after.PaidAt == nil})
	require.Equal(t, map[string]int64{"acquirer:till AMD": 100_000, "unmatched AMD": -100_000}, balances(s.Shop, payments.Part{Invoice: in.ID}))
	var cash, other int64
	require.NoError(t, s.Movements(t.Context(), s.ID, s.Clock.AddDate(0, 0, -2), s.Clock.AddDate(0, 0, 2), func(m payments.Movement) error {
		cash, other = cash+m.Amount, other+m.NonCash
		return nil
	}))
	require.Equal(t, [2]int64{100_000, -100_000}, [2]int64{cash, other})
	b := s.Try(after)
	s.Learn(b, tilltest.Took(tilltest.AMD(100_000)))
	require.Equal(t, [2]any{state.Paid, int64(100_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Paid}, "the right payment pays, and is no second one")
	_, err := s.Refund(t.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: tilltest.AMD(100_000), Reason: "x", Attempt: a.ID.String()})
	require.ErrorIs(t, err, payments.ErrInvalid, "it is not ours to give")
	_, err = s.UndoDecision(t.Context(), s.ID, s.By, uuid.MustParse(s.word(in.ID).Decisions[0].ID), "It was ours")
	require.NoError(t, err)
	require.Equal(t, []string{string(state.WrongMerchant)}, s.exceptions())
	require.Equal(t, map[string]int64{"acquirer:till AMD": 200_000, "receivable AMD": -200_000}, balances(s.Shop, payments.Part{Invoice: in.ID}))
}

func TestALinkDoesNotRunOutWhileTheAcquirerCannotBeAsked(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 30_000)
	a := s.Try(in)
	s.Till.Fail(payments.ErrUnavailable)
	s.Clock = in.ExpiresAt
	_, err := s.Expire(t.Context(), s.ID, in.ID)
	require.ErrorIs(t, err, payments.ErrUnavailable)
	require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status)
	s.Till.Fail(nil)
	s.Tell(a, payments.Observation{Status: state.Authorized})
	_, err = s.Expire(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status, "nor while it says that it is about to take the money")
	s.Tell(a, payments.Observation{Status: state.AttemptCancelled})
	_, err = s.Expire(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, state.Expired, s.Read(in.ID).Status)
}

func TestALinkRunsOutAlthoughOneAcquirerNeverAnswers(t *testing.T) {
	for name, failure := range map[string]error{"it is down": payments.ErrUnavailable, "it refuses the credentials": payments.ErrCredentials} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			in := s.Invoice("1", 30_000)
			a := s.Try(in)
			s.Till.Fail(failure)
			s.Clock = in.ExpiresAt.Add(time.Hour - 1)
			_, err := s.Expire(t.Context(), s.ID, in.ID)
			require.ErrorIs(t, err, failure)
			require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status)
			s.Clock = in.ExpiresAt.Add(time.Hour)
			again, err := s.Expire(t.Context(), s.ID, in.ID)
			require.NoError(t, err)
			require.Equal(t, [2]any{state.Expired, time.Time{}}, [2]any{s.Read(in.ID).Status, again})

			s.Till.Fail(nil)
			s.Learn(a, tilltest.Took(tilltest.AMD(30_000)))
			require.Equal(t, [2]any{state.ManualReview, int64(30_000)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Paid}, "its money is not lost")
			require.Contains(t, s.exceptions(), string(state.PaidAfterExpiry))
		})
	}
}

func TestAnAttemptThatIsNeverAnsweredEnds(t *testing.T) {
	const owed = 30_000
	for name, c := range map[string]struct {
		says     payments.Observation // the zero one: nothing
		returned bool
	}{
		"nothing is said":                       {},
		"nothing is said, and somebody paid":    {returned: true},
		"it stays pending, and somebody waited": {payments.Observation{Status: state.Pending}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			in := s.Invoice("1", owed)
			a := s.Try(in)
			if c.returned {
				require.NoError(t, s.Returned(t.Context(), s.ID, in.ID))
			}
			if c.says.Status != "" {
				s.Tell(a, c.says)
			}
			s.Clock = a.CreatedAt.Add(7 * 24 * time.Hour)
			next, err := s.Check(t.Context(), s.ID, a.ID)
			require.NoError(t, err)
			require.NotZero(t, next)
			require.Equal(t, state.Pending, s.attempts(in)[0].Status)
			s.Clock = next
			for range 2 {
				next, err = s.Check(t.Context(), s.ID, a.ID)
				require.NoError(t, err)
				require.Zero(t, next)
				require.Equal(t, state.AttemptExpired, s.attempts(in)[0].Status)
				require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status)
				if c.returned {
					require.Equal(t, []string{payments.NeverAnswered}, s.exceptions())
					require.Equal(t, []string{"task:never_answered"}, s.planned("1"))
				} else {
					require.Empty(t, s.exceptions())
				}
			}
			s.In(func(ctx context.Context, tx *tenants.Tx) error {
				var source string
				err := tx.QueryRow(ctx, `SELECT evidence->>'source' FROM facts WHERE status = 'expired'`).Scan(&source)
				require.Equal(t, "timer", source)
				return err
			})

			s.Learn(a, tilltest.Took(tilltest.AMD(owed)))
			require.Equal(t, [2]any{state.Paid, int64(owed)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Paid}, "late money is money")
			require.Empty(t, s.exceptions(), "and that is an answer")
		})
	}
}

func TestALinkDoesNotCloseWhileAPaymentIsUnderWay(t *testing.T) {
	busy := payments.Observation{Status: state.Pending, Busy: true}
	s := newShop(t)
	in := s.Invoice("1", 30_000)
	a := s.Try(in)
	s.Learn(a, busy)
	require.True(t, s.attempts(in)[0].Busy)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		can, err := s.Can(ctx, tx, s.Read(in.ID), tenants.Admin)
		require.NotContains(t, can, "cancel")
		require.NotContains(t, can, "replace")
		require.Contains(t, can, "check")
		return err
	})
	_, err := s.Cancel(t.Context(), s.ID, s.By, in.ID)
	require.ErrorIs(t, err, payments.ErrState)
	_, err = s.Replace(t.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}})
	require.ErrorIs(t, err, payments.ErrState)

	s.Clock = in.ExpiresAt
	again, err := s.Expire(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, [2]any{state.AwaitingPayment, s.Clock.Add(time.Hour)}, [2]any{s.Read(in.ID).Status, again})
	s.Learn(a, payments.Observation{}) // nothing new
	require.True(t, s.attempts(in)[0].Busy)
	s.Clock = again
	s.Tell(a, tilltest.Took(tilltest.AMD(30_000)))
	again, err = s.Expire(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Zero(t, again)
	require.Equal(t, state.Paid, s.Read(in.ID).Status, "it had begun in time")
	require.Empty(t, s.exceptions())

	for name, ends := range map[string]func(a payments.Attempt){
		"when it came to nothing":            func(a payments.Attempt) { s.Tell(a, payments.Observation{Status: state.AttemptFailed}) },
		"when it only waits for a card":      func(a payments.Attempt) { s.Tell(a, payments.Observation{Status: state.Pending}) },
		"when it lasts longer than we'd ask": func(a payments.Attempt) { s.Clock = a.CreatedAt.Add(7*24*time.Hour + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			in := s.Invoice("2", 30_000)
			a := s.Try(in)
			s.Learn(a, busy)
			s.Clock = in.ExpiresAt
			ends(a)
			again, err := s.Expire(t.Context(), s.ID, in.ID)
			require.NoError(t, err)
			require.Equal(t, [2]any{state.Expired, time.Time{}}, [2]any{s.Read(in.ID).Status, again})
		})
	}
}

// gate is an acquirer whose answers all arrive at once, when so many have been asked for.
type gate struct {
	payments.Provider
	missing atomic.Int32
	open    chan struct{}
}

func (g *gate) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	if g.missing.Add(-1) == 0 {
		close(g.open)
	}
	select {
	case <-g.open:
	case <-time.After(5 * time.Second): // the pool of connections was too small for all
	}
	return g.Provider.Look(ctx, c, o)
}

func TestTwoPaymentsLearntAtOnceAreBothCounted(t *testing.T) {
	const owed, rounds = 30_000, 4
	s := newShop(t)
	s.Providers["box"] = s.Till
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "box", map[string]string{"key": "k"}, false))
	for round := range rounds {
		deal := fmt.Sprint(round)
		in := s.Invoice(deal, owed)
		for _, acquirer := range []string{"till", "box"} {
			_, err := s.press(in, acquirer)
			require.NoError(t, err)
		}
		both := s.attempts(in)
		require.Len(t, both, 2)
		for _, a := range both {
			s.Tell(a, tilltest.Took(tilltest.AMD(owed)))
		}
		v, err := s.VisitOf(t.Context(), s.ID, in.ID)
		require.NoError(t, err)
		const each = 3
		g := &gate{Provider: s.Till, open: make(chan struct{})}
		g.missing.Store(2*each + 1) // one of those who wait on the page asks
		s.Providers["till"], s.Providers["box"] = g, g
		var all sync.WaitGroup
		for range each {
			for _, a := range both {
				all.Go(func() {
					if _, err := s.Check(context.WithoutCancel(t.Context()), s.ID, a.ID); err != nil {
						t.Error(err)
					}
				})
			}
			all.Go(func() { s.Glance(context.WithoutCancel(t.Context()), v) })
		}
		all.Wait()
		s.Providers["till"], s.Providers["box"] = s.Till, s.Till

		after := s.Read(in.ID)
		require.Equal(t, [3]any{state.ManualReview, int64(2 * owed), int64(0)}, [3]any{after.Status, after.Paid, after.Outstanding})
		require.Equal(t, map[string]int64{"acquirer:till AMD": owed, "acquirer:box AMD": owed, "receivable AMD": -2 * owed}, balances(s.Shop, payments.Part{Invoice: in.ID}))
		var kinds []string
		for _, e := range s.open() {
			if e.DealID == deal {
				kinds = append(kinds, e.Kind)
			}
		}
		require.Equal(t, []string{string(state.SecondPayment)}, kinds)
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			for _, a := range both {
				var notes int
				require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM effects WHERE key LIKE '%captured:' || $1`, a.ID.String()).Scan(&notes))
				require.Equal(t, 1, notes, "noted once")
			}
			return nil
		})
	}
}

func TestMoneyWithoutAnAttemptIsNotGivenToOneOfTheSameAmount(t *testing.T) {
	d := newDesk(t, vposam.Key)
	in := d.Invoice("1", 700_000)
	_, err := d.Pay(t.Context(), d.ID, in.ID, "token", d.key, "en")
	require.NoError(t, err)
	was := d.newest(in)
	require.Equal(t, state.Pending, was.Status)
	status, _ := d.command("orphan", map[string]any{"amount_minor": 700_000, "currency": "AMD", "url": d.storm.address})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 0)))
	d.advance(2 * time.Minute) // the patience of a notice
	d.work()
	is := d.newest(in)
	is.CheckedAt = was.CheckedAt
	require.Equal(t, was, is)
	require.Equal(t, [2]any{state.AwaitingPayment, int64(0)}, [2]any{d.Read(in.ID).Status, d.Read(in.ID).Paid})
	require.Equal(t, []string{payments.Orphan}, d.exceptions())
	require.Nil(t, d.open()[0].AttemptID)
	require.Nil(t, d.open()[0].InvoiceID)
}

func TestTheTimeThatAnAcquirerNamesProvesNothing(t *testing.T) {
	const owed = 30_000
	s := newShop(t)
	in := s.Invoice("1", owed)
	a := s.Try(in)
	s.Clock = in.ExpiresAt
	_, err := s.Expire(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	s.Clock = s.Clock.Add(time.Hour)
	early := tilltest.Took(tilltest.AMD(owed))
	early.PaidAt = in.ExpiresAt.Add(-time.Hour)
	s.Learn(a, early)
	require.Equal(t, []string{string(state.PaidAfterExpiry)}, s.exceptions(), "as it was learnt after the link's time")
	require.Equal(t, state.ManualReview, s.Read(in.ID).Status)
	require.True(t, s.attempts(in)[0].PaidAt.Equal(early.PaidAt), "it is shown beside ours")

	in = s.Invoice("2", owed)
	a = s.Try(in)
	far := tilltest.Took(tilltest.AMD(owed))
	far.PaidAt = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	s.Learn(a, far)
	after := s.Read(in.ID)
	require.Equal(t, state.Paid, after.Status)
	require.True(t, after.PaidAt.Equal(s.Clock), after.PaidAt)
}
