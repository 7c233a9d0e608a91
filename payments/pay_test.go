package payments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/arca/arcatest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/stripe/stripetest"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
)

// attempts are an invoice's, in order.
func (s *shop) attempts(in payments.Invoice) (all []payments.Attempt) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Attempts(ctx, tx, in.ID)
		return err
	})
	return all
}

// press presses Pay for an acquirer.
func (s *shop) press(in payments.Invoice, acquirer string) (payments.Checkout, error) {
	return s.Pay(s.Context(), s.ID, in.ID, "token", acquirer, "en")
}

func TestAnOrderWhosePageNobodyKnowsGivesWayToANewOne(t *testing.T) {
	s := newShop(t)
	double := arcatest.New(arcatest.Config{})
	t.Cleanup(double.Close)
	bank := httptest.NewServer(double)
	t.Cleanup(bank.Close)
	s.Providers["arca"] = arca.New(arca.Config{Gateways: map[string]string{"ipay-test": bank.URL + "/payment/rest/"}, Now: double.Control.Clock.Now})
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "arca", map[string]string{"gateway": "ipay-test", "username": "shop_api", "password": "test-pass"}, true))
	in := s.Invoice("1", 1_500_000)

	require.NoError(t, double.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: "register.do"}))
	_, err := s.press(in, "arca")
	require.ErrorIs(t, err, payments.ErrUnavailable)
	_, err = s.press(in, "arca")
	require.ErrorIs(t, err, payments.ErrBeingChecked, "another window may be on its way to the page")
	require.Len(t, double.Books(), 1)
	s.Clock = s.Clock.Add(time.Minute)
	checkout, err := s.press(in, "arca")
	require.NoError(t, err)
	again, err := s.press(in, "arca")
	require.NoError(t, err)
	require.Equal(t, checkout.URL, again.URL)

	all := s.attempts(in)
	require.Len(t, all, 2)
	require.Equal(t, []state.AttemptStatus{state.AttemptExpired, state.Pending}, []state.AttemptStatus{all[0].Status, all[1].Status})
	require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status)
	books := double.Books()
	require.Equal(t, []string{all[0].Reference, all[1].Reference}, []string{books[0].Order, books[1].Order}, "a number of its own")
	next, err := s.Check(t.Context(), s.ID, all[0].ID)
	require.NoError(t, err)
	require.NotZero(t, next, "money that comes for it all the same is seen")
}

// takesStripe connects Stripe's double beside the till, on the double's clock.
func (s *shop) takesStripe() (*stripetest.Server, string) {
	double := stripetest.New(stripetest.Config{})
	s.Cleanup(double.Close)
	bank := httptest.NewServer(double)
	s.Cleanup(bank.Close)
	s.Providers["stripe"] = stripe.New(stripe.Config{BaseURL: bank.URL, Now: s.Now})
	s.Clock = time.Now()
	require.NoError(s, s.Connect(s.Context(), s.ID, s.By, "stripe", map[string]string{"secret_key": "sk_test_demo", "webhook_secret": "whsec_test_demo"}, true))
	return double, bank.URL
}

// ordered is a stand-in's control.
func ordered(t *testing.T, bank, command string, args any) {
	t.Helper()
	raw, err := json.Marshal(args)
	require.NoError(t, err)
	res, err := http.Post(bank+"/_control/"+command, "application/json", bytes.NewReader(raw))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestACheckoutNobodyShouldPayAnyMoreIsClosedAtTheAcquirer(t *testing.T) {
	s := newShop(t)
	double, _ := s.takesStripe()
	for name, end := range map[string]func(payments.Invoice) error{
		"cancelled": func(in payments.Invoice) error {
			_, err := s.Cancel(t.Context(), s.ID, s.By, in.ID)
			return err
		},
		"replaced": func(in payments.Invoice) error {
			_, err := s.Replace(t.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}})
			return err
		},
		"partly paid in cash": func(in payments.Invoice) error {
			_, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(500_000), ReceivedAt: s.Clock,
				Reference: "K-1", Reason: "At the counter"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.Invoice("1", 1_500_000)
			_, err := s.press(in, "stripe")
			require.NoError(t, err)
			a := s.attempts(in)[0]
			_, err = s.Check(t.Context(), s.ID, a.ID)
			require.NoError(t, err)
			require.Equal(t, state.Pending, s.attempts(in)[0].Status, "an open link keeps its checkout")
			require.NoError(t, end(in))
			require.True(t, s.due(outbox.Check, a.ID.String()), "it is looked at now")
			_, err = s.Check(t.Context(), s.ID, a.ID)
			require.NoError(t, err)
			require.Equal(t, state.AttemptExpired, s.attempts(in)[0].Status)
			books := double.Books()
			require.Equal(t, "expired", string(books[len(books)-1].Status))
		})
	}
}

// due says whether a promise is due now.
func (s *shop) due(kind outbox.Kind, key string) (due bool) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox WHERE kind = $1 AND key = $2 AND done_at IS NULL AND due_at <= $3)`,
			string(kind), key, s.Now()).Scan(&due)
	})
	return due
}

func TestACustomerWhoGoesBackFindsTheSamePage(t *testing.T) {
	s := newShop(t)
	double, _ := s.takesStripe()
	in := s.Invoice("1", 1_500_000)
	first, err := s.press(in, "till")
	require.NoError(t, err)
	_, err = s.press(in, "stripe")
	require.NoError(t, err)
	till, other := s.attempts(in)[0], s.attempts(in)[1]
	require.False(t, s.due(outbox.Check, till.ID.String()), "nobody can close it there")
	require.False(t, s.due(outbox.Check, other.ID.String()), "the customer is there")
	again, err := s.press(in, "till")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Len(t, s.attempts(in), 2)
	v, err := s.VisitOf(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, till.ID, v.Last.ID, "what the page is about")
	require.NoError(t, s.Returned(t.Context(), s.ID, in.ID))
	require.NotNil(t, s.attempts(in)[0].ReturnedAt)
	require.Nil(t, s.attempts(in)[1].ReturnedAt)

	require.True(t, s.due(outbox.Check, other.ID.String()), "the page that was left is looked at now")
	_, err = s.Check(t.Context(), s.ID, other.ID)
	require.NoError(t, err)
	require.Equal(t, "expired", string(double.Books()[0].Status))
	require.Equal(t, []state.AttemptStatus{state.Pending, state.AttemptExpired}, []state.AttemptStatus{s.attempts(in)[0].Status, s.attempts(in)[1].Status})
	last, err := s.press(in, "till")
	require.NoError(t, err)
	require.Equal(t, first, last)
	_, err = s.press(in, "stripe")
	require.NoError(t, err)
	require.Len(t, s.attempts(in), 3)
	v, err = s.VisitOf(t.Context(), s.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, 3, v.Last.Seq, "what is begun anew is the newest")
	s.Learn(till, tilltest.Took(tilltest.AMD(1_500_000)))
	require.Equal(t, state.Paid, s.Read(in.ID).Status)
	require.True(t, s.due(outbox.Check, v.Last.ID.String()))
}

func TestAPageThatWasLeftStaysOpenWhileItsMoneyIsOnItsWay(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(bank, ref, page string)
		status  state.Status
	}{
		"paid": {func(bank, _, page string) {
			ordered(t, bank, "pay", map[string]any{"url": page, "outcome": "paid"})
		}, state.Paid},
		"under way": {func(bank, ref, _ string) {
			ordered(t, bank, "delayed", map[string]any{"ref": ref, "status": "processing"})
		}, state.AwaitingPayment},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			_, bank := s.takesStripe()
			watched := &closings{Provider: s.Providers["stripe"]}
			s.Providers["stripe"] = watched
			in := s.Invoice("1", 1_500_000)
			checkout, err := s.press(in, "stripe")
			require.NoError(t, err)
			_, err = s.press(in, "till")
			require.NoError(t, err)
			left := s.attempts(in)[0]
			require.True(t, s.due(outbox.Check, left.ID.String()))
			c.happens(bank, left.ProviderRef, checkout.URL)
			_, err = s.Check(t.Context(), s.ID, left.ID)
			require.NoError(t, err)
			require.Equal(t, c.status, s.Read(in.ID).Status)
			require.Zero(t, watched.asked)
		})
	}
}

// closings counts how often a page was to be closed.
type closings struct {
	payments.Provider
	asked int
}

func (c *closings) CancelCheckout(ctx context.Context, conn payments.Connection, o payments.Order) error {
	c.asked++
	return c.Provider.(payments.Canceller).CancelCheckout(ctx, conn, o)
}

func TestAPageIsNotLeftForOneThatNeverOpened(t *testing.T) {
	s := newShop(t)
	s.takesStripe()
	in := s.Invoice("1", 1_500_000)
	first, err := s.press(in, "stripe")
	require.NoError(t, err)
	stripes := s.attempts(in)[0]
	s.Providers["till"] = shut{s.Till}
	_, err = s.press(in, "till")
	require.ErrorIs(t, err, payments.ErrUnavailable)
	_, err = s.Check(t.Context(), s.ID, stripes.ID)
	require.NoError(t, err)
	again, err := s.press(in, "stripe")
	require.NoError(t, err)
	require.Equal(t, first, again)
}

// shut is a till that opens no page.
type shut struct{ *tilltest.Till }

func (shut) Start(context.Context, payments.Connection, payments.Order) (payments.Checkout, error) {
	return payments.Checkout{}, payments.ErrUnavailable
}

func TestWithdrawingALinkAsksFirst(t *testing.T) {
	const owed = 30_000
	withdrawals := map[string]func(s *shop, in payments.Invoice) error{
		"cancelled": func(s *shop, in payments.Invoice) error {
			_, err := s.Cancel(s.Context(), s.ID, s.By, in.ID)
			return err
		},
		"replaced": func(s *shop, in payments.Invoice) error {
			_, err := s.Replace(s.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}})
			return err
		},
	}
	for name, withdraw := range withdrawals {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits
			s := newShop(t)
			s.Providers["bank"] = mute{}
			require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "bank", map[string]string{}, false))
			in := s.Invoice("1", owed)
			a := s.Try(in)
			_, err := s.press(in, "bank")
			require.NoError(t, err)
			s.Tell(a, tilltest.Took(tilltest.AMD(owed))) // a second ago, and its notice is on the way
			begun := time.Now()
			require.ErrorIs(t, withdraw(s, in), payments.ErrState)
			require.Less(t, time.Since(begun), 15*time.Second, "one that is silent is waited for, but not long")
			require.Equal(t, [2]any{state.Paid, int64(owed)}, [2]any{s.Read(in.ID).Status, s.Read(in.ID).Paid})
			require.Empty(t, s.exceptions())
			require.ErrorIs(t, withdraw(s, in), payments.ErrState)

			in = s.Invoice("2", owed)
			s.Try(in)
			s.Till.Fail(payments.ErrUnavailable)
			require.NoError(t, withdraw(s, in), "nobody is there to say otherwise")
			require.Equal(t, state.Cancelled, s.Read(in.ID).Status)
		})
	}
}

// mute opens pages and never answers a question.
type mute struct{}

func (mute) Describe() payments.Description { return payments.Description{Name: "Mute"} }

func (mute) Start(_ context.Context, _ payments.Connection, o payments.Order) (payments.Checkout, error) {
	return payments.Checkout{URL: "https://mute.example/" + o.Reference, ProviderRef: o.Reference}, nil
}

func (mute) Look(ctx context.Context, _ payments.Connection, _ payments.Order) (payments.Observation, error) {
	<-ctx.Done()
	return payments.Observation{}, payments.ErrUnavailable
}

func (mute) Hear(payments.Connection, payments.Notice) (payments.Heard, error) {
	return payments.Heard{}, payments.ErrNotice
}

func (mute) Check(context.Context, payments.Connection) error { return nil }

func TestAnotherAmountIsAnotherOrder(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 30_000)
	first := s.Try(in)
	require.Equal(t, first.ID, s.Try(in).ID)
	_, _, err := s.Receive(t.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(10_000), ReceivedAt: s.Clock,
		Reference: "K-1", Reason: "At the counter"})
	require.NoError(t, err)
	second := s.Try(in)
	require.Equal(t, [2]int64{30_000, 20_000}, [2]int64{first.Minor, second.Minor})
	require.NotEqual(t, first.Reference, second.Reference)
	require.NotEqual(t, first.Number, second.Number)
	require.NotEqual(t, first.ProviderRef, second.ProviderRef)
	require.Len(t, s.attempts(in), 2)
}

func TestAnAcquirerIsNotConnectedWithoutItsCredentials(t *testing.T) {
	s := newShop(t)
	s.Providers["box"] = s.Till // as the till that is connected
	for _, given := range []map[string]string{nil, {}, {"key": ""}, {"key": " \t"}} {
		for name, try := range map[string]func() error{
			"connect": func() error { return s.Connect(t.Context(), s.ID, s.By, "box", given, false) },
			"test": func() error {
				_, err := s.Test(t.Context(), s.ID, "box", given)
				return err
			},
		} {
			var refused *payments.Invalid
			require.ErrorAs(t, try(), &refused, "%s with %v", name, given)
			require.Equal(t, "credential_missing", refused.Code)
		}
	}
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		require.Len(t, all, 1)
		return err
	})
}

func TestOfManyWhoWaitOnThePayPageOneAsks(t *testing.T) {
	for name, failure := range map[string]error{"it answers": nil, "it is down": payments.ErrUnavailable} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			in := s.Invoice("1", 30_000)
			a := s.Try(in)
			till := &counted{Provider: s.Till}
			s.Providers["till"] = till
			s.Till.Fail(failure)
			v, err := s.VisitOf(t.Context(), s.ID, in.ID)
			require.NoError(t, err)
			wait := func(asked int32) {
				t.Helper()
				var all sync.WaitGroup
				for range 50 {
					all.Go(func() { s.Glance(context.WithoutCancel(t.Context()), v) })
				}
				all.Wait()
				require.Equal(t, asked, till.looks.Load())
			}
			wait(1)
			s.Clock = s.Clock.Add(2 * time.Second)
			wait(2)
			s.Clock = s.Clock.Add(2 * time.Second)
			s.Till.Fail(nil)
			s.Learn(a, tilltest.Took(tilltest.AMD(30_000)))
			s.Clock = s.Clock.Add(2 * time.Second)
			wait(3) // the worker's; nobody asks about what is decided
		})
	}
}
