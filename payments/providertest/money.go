package providertest

import (
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

func (s *suite) startTwice() {
	o := s.order()
	first, err := s.Provider.Start(s.Context(), s.Connection, o)
	require.NoError(s, err)
	require.NotEmpty(s, first.URL)
	again, err := s.Provider.Start(s.Context(), s.Connection, o)
	if errors.Is(err, payments.ErrStarted) {
		return
	}
	require.NoError(s, err)
	require.Equal(s, first.ProviderRef, again.ProviderRef)
	require.Equal(s, first.URL, again.URL)
	require.Equal(s, first.Form, again.Form)
	other := s.order()
	third, err := s.Provider.Start(s.Context(), s.Connection, other)
	require.NoError(s, err)
	require.NotEqual(s, [2]any{first.ProviderRef, s.url(first)}, [2]any{third.ProviderRef, s.url(third)})
}

func (s *suite) lookUnpaid() {
	if _, teller := s.Provider.(payments.Teller); teller {
		s.Skip("this acquirer has no status call")
	}
	o, _ := s.start()
	seen, err := s.Provider.Look(s.Context(), s.Connection, o)
	s.unproven(seen, err)
	before := o
	before.ProviderRef = "" // a start whose answer never came
	seen, err = s.Provider.Look(s.Context(), s.Connection, before)
	s.unproven(seen, err)
}

// unproven accepts any answer that takes nothing for paid.
func (s *suite) unproven(seen payments.Observation, err error) {
	s.Helper()
	if err != nil {
		require.ErrorIs(s, err, payments.ErrNothingNew)
		require.Empty(s, seen.Status)
	}
	require.NotEqual(s, state.AttemptPaid, seen.Status)
	require.Zero(s, seen.Captured.Minor)
	s.clean(seen)
}

func (s *suite) paid() {
	o, seen := s.bought("paid")
	require.Equal(s, state.AttemptPaid, seen.Status)
	require.Equal(s, o.Amount, seen.Captured)
	require.Zero(s, seen.Refunded.Minor)
	require.False(s, seen.Foreign)
	require.Empty(s, seen.Disputes)
	require.NotEmpty(s, seen.Raw, "there is evidence")
	require.Equal(s, seen, s.look(o), "asking again gives the same")
}

func (s *suite) unpaidOutcomes() {
	for outcome, allowed := range map[string][]state.AttemptStatus{
		"declined":   {state.AttemptFailed, state.Pending},
		"abandoned":  {state.Created, state.Pending},
		"authorized": {state.Authorized},
	} {
		if s.lacks(outcome) {
			continue
		}
		o, url := s.start()
		s.pay(url, outcome)
		seen, err := s.Provider.Look(s.Context(), s.Connection, o)
		s.unproven(seen, err)
		if err == nil {
			require.Contains(s, allowed, seen.Status, outcome)
		}
	}
	if !s.lacks("authorized") {
		o, seen := s.bought("authorized")
		require.Equal(s, state.Authorized, seen.Status)
		s.command("capture", map[string]any{"ref": o.ProviderRef})
		require.Equal(s, o.Amount, s.look(o).Captured)
	}
}

func (s *suite) wrongAmount() {
	if s.lacks("wrong_amount") {
		s.Skip("this acquirer takes the amount it was asked for")
	}
	o, seen := s.bought("wrong_amount")
	captured, _ := s.entry(o)
	require.Equal(s, state.AttemptPaid, seen.Status)
	require.NotEqual(s, o.Amount.Minor, captured)
	require.Equal(s, payments.Money{Minor: captured, Currency: o.Amount.Currency}, seen.Captured)
}

func (s *suite) wrongCurrency() {
	if s.lacks("wrong_currency") {
		s.Skip("this acquirer knows one currency")
	}
	o, seen := s.bought("wrong_currency")
	require.Equal(s, state.AttemptPaid, seen.Status)
	require.NotEqual(s, o.Amount.Currency, seen.Captured.Currency)
	require.Positive(s, seen.Captured.Minor)
}

func (s *suite) foreign() {
	if s.lacks("merchant") {
		s.Skip("this acquirer's answers name no merchant")
	}
	o, seen := s.bought("paid")
	require.False(s, seen.Foreign)
	s.command("merchant", map[string]any{"ref": o.ProviderRef})
	require.True(s, s.look(o).Foreign)
}

func (s *suite) refunds() {
	refunder := s.refunder()
	if refunder == nil {
		s.Skip("this acquirer refunds only by hand")
	}
	o, _ := s.bought("paid")
	parts := []int64{o.Amount.Minor}
	if s.Provider.Describe().Partial {
		parts = []int64{o.Amount.Minor / 10, o.Amount.Minor / 2, o.Amount.Minor - o.Amount.Minor/10 - o.Amount.Minor/2}
	}
	total := int64(0)
	for i, part := range parts {
		require.NoError(s, s.give(refunder, o, string(rune('a'+i))+"-"+o.Attempt, part))
		total += part
		seen := s.look(o)
		require.Equal(s, state.AttemptPaid, seen.Status, "paid stays paid")
		require.Equal(s, o.Amount, seen.Captured)
		require.Equal(s, payments.Money{Minor: total, Currency: o.Amount.Currency}, seen.Refunded)
	}
	require.ErrorIs(s, s.give(refunder, o, "more-"+o.Attempt, o.Amount.Minor), payments.ErrRefused)
	unpaid, _ := s.start()
	require.ErrorIs(s, s.give(refunder, unpaid, "unpaid-"+o.Attempt, o.Amount.Minor), payments.ErrRefused)
	require.Equal(s, total, s.look(o).Refunded.Minor)
}

// refundLost cuts the connection after the money moved: the error says that nobody knows, and a look settles it.
func (s *suite) refundLost() {
	refunder := s.refunder()
	if refunder == nil {
		s.Skip("this acquirer refunds only by hand")
	}
	o, _ := s.bought("paid")
	s.fault(standintest.Fault{Kind: standintest.DropAfterCommit, Match: s.RefundPath})
	require.ErrorIs(s, s.give(refunder, o, "r-"+o.Attempt, o.Amount.Minor), payments.ErrUnknown)
	require.Equal(s, o.Amount.Minor, s.look(o).Refunded.Minor)
	_, refunded := s.entry(o)
	require.Equal(s, o.Amount.Minor, refunded, "once")
	o, _ = s.bought("paid")
	s.fault(standintest.Fault{Kind: standintest.Down, Match: s.RefundPath})
	require.ErrorIs(s, s.give(refunder, o, "d-"+o.Attempt, o.Amount.Minor), payments.ErrUnknown)
	require.Zero(s, s.look(o).Refunded.Minor)
}

func (s *suite) refundByBank() {
	o, _ := s.bought("paid")
	if s.lacks("bank_refund") {
		s.Skip("refunds are not told")
	}
	s.command("refund", map[string]any{"ref": o.ProviderRef, "amount_minor": o.Amount.Minor / 2})
	seen := s.look(o)
	require.Equal(s, state.AttemptPaid, seen.Status)
	require.Equal(s, payments.Money{Minor: o.Amount.Minor / 2, Currency: o.Amount.Currency}, seen.Refunded)
}

// startLost cuts the connection after the order was opened. Starting again gives that order or says that it was
// opened; it never makes a second one.
func (s *suite) startLost() {
	o := s.order()
	s.fault(standintest.Fault{Kind: standintest.DropAfterCommit, Match: s.StartPath})
	_, err := s.Provider.Start(s.Context(), s.Connection, o)
	if _, teller := s.Provider.(payments.Teller); teller && err == nil {
		s.Skip("starting asks the acquirer nothing")
	}
	require.ErrorIs(s, err, payments.ErrUnavailable)
	checkout, err := s.Provider.Start(s.Context(), s.Connection, o)
	if errors.Is(err, payments.ErrStarted) {
		return
	}
	require.NoError(s, err)
	o.ProviderRef = checkout.ProviderRef
	s.pay(s.url(checkout), "paid")
	require.Equal(s, o.Amount, s.look(o).Captured)
}

// slow lets the acquirer begin its work on a call only when we have stopped waiting for it. It returns what ends that.
func (s *suite) slow(match string) (patient func()) {
	connection := s.Connection
	hasty := *connection.HTTP
	hasty.Timeout = 300 * time.Millisecond
	s.Connection.HTTP = &hasty
	s.fault(standintest.Fault{Kind: standintest.Slow, Match: match, MS: 60_000}) // the wait ends when the connection does
	return func() { s.Connection = connection }
}

// becomes waits until the acquirer's work is done.
func (s *suite) becomes(done func() bool) {
	s.Helper()
	require.Eventually(s, done, 5*time.Second, 5*time.Millisecond)
}

// startSlow opens an order after we went away: nobody is told of a page, and starting again makes no second order.
func (s *suite) startSlow() {
	if _, teller := s.Provider.(payments.Teller); teller {
		s.Skip("starting asks the acquirer nothing")
	}
	o := s.order()
	patient := s.slow(s.StartPath)
	_, err := s.Provider.Start(s.Context(), s.Connection, o)
	require.ErrorIs(s, err, payments.ErrUnavailable)
	s.becomes(func() bool { return len(s.books()) == 1 })
	patient()
	checkout, err := s.Provider.Start(s.Context(), s.Connection, o)
	require.Len(s, s.books(), 1, "one order")
	if errors.Is(err, payments.ErrStarted) {
		return
	}
	require.NoError(s, err)
	o.ProviderRef = checkout.ProviderRef
	s.pay(s.url(checkout), "paid")
	require.Equal(s, o.Amount, s.look(o).Captured)
}

// refundSlow moves the money after we went away: nobody knows, and a look settles it.
func (s *suite) refundSlow() {
	refunder := s.refunder()
	if refunder == nil {
		s.Skip("this acquirer refunds only by hand")
	}
	o, _ := s.bought("paid")
	patient := s.slow(s.RefundPath)
	require.ErrorIs(s, s.give(refunder, o, "s-"+o.Attempt, o.Amount.Minor), payments.ErrUnknown)
	patient()
	s.becomes(func() bool { _, refunded := s.entry(o); return refunded > 0 })
	require.Equal(s, o.Amount.Minor, s.look(o).Refunded.Minor)
	if err := s.give(refunder, o, "s-"+o.Attempt, o.Amount.Minor); err != nil { // the key is known, or the money gone
		require.ErrorIs(s, err, payments.ErrRefused)
	}
	_, refunded := s.entry(o)
	require.Equal(s, o.Amount.Minor, refunded, "once")
}

func (s *suite) down() {
	if _, teller := s.Provider.(payments.Teller); teller {
		s.Skip("this acquirer is asked nothing")
	}
	o, _ := s.start()
	for _, kind := range []standintest.Kind{standintest.Down, standintest.HTMLError} {
		s.fault(standintest.Fault{Kind: kind, Count: -1})
		_, err := s.Provider.Start(s.Context(), s.Connection, s.order())
		require.ErrorIs(s, err, payments.ErrUnavailable, kind)
		_, err = s.Provider.Look(s.Context(), s.Connection, o)
		require.ErrorIs(s, err, payments.ErrUnavailable, kind)
		require.ErrorIs(s, s.Provider.Check(s.Context(), s.Connection), payments.ErrUnavailable, kind)
		s.command("reset", nil)
		s.fault(standintest.Fault{Kind: standintest.Throttle, Count: 1})
		require.ErrorIs(s, s.Provider.Check(s.Context(), s.Connection), payments.ErrUnavailable)
	}
}

// garbled are answers that came whole by HTTP and say nothing: a page of something in between, and the first half of a body.
var garbled = []standintest.Kind{standintest.HTMLPage, standintest.Truncated}

// well ends a misbehaviour.
func (s *suite) well(kind standintest.Kind) {
	s.Helper()
	s.command("faults", map[string]any{"kind": kind, "count": 0})
}

// unreadable garbles answers of which the acquirer keeps the work: they prove nothing, and asking again tells the truth.
func (s *suite) unreadable() {
	if _, teller := s.Provider.(payments.Teller); teller {
		s.Skip("this acquirer is asked nothing")
	}
	for _, kind := range garbled {
		o, url := s.start()
		s.pay(url, "paid")
		s.fault(standintest.Fault{Kind: kind, Count: -1})
		for range 2 {
			seen, err := s.Provider.Look(s.Context(), s.Connection, o)
			require.Error(s, err, kind)
			require.True(s, errors.Is(err, payments.ErrUnavailable) || errors.Is(err, payments.ErrNothingNew), "%s: %v", kind, err)
			require.NotErrorIs(s, err, payments.ErrCredentials)
			require.Empty(s, seen.Status, kind)
			require.Zero(s, seen.Captured, kind)
			require.Zero(s, seen.Refunded, kind)
		}
		checked := s.Provider.Check(s.Context(), s.Connection)
		require.NotErrorIs(s, checked, payments.ErrCredentials, kind)
		if kind == standintest.HTMLPage { // the HTTP status of a cut answer may be all that is needed
			require.ErrorIs(s, checked, payments.ErrUnavailable)
		}
		if s.BareStart && kind == standintest.Truncated {
			s.well(kind)
			continue
		}
		lost := s.order()
		_, err := s.Provider.Start(s.Context(), s.Connection, lost)
		require.ErrorIs(s, err, payments.ErrUnavailable, kind)
		require.NotErrorIs(s, err, payments.ErrRefused, kind)
		s.well(kind)
		require.Equal(s, o.Amount, s.look(o).Captured, kind)
		checkout, err := s.Provider.Start(s.Context(), s.Connection, lost)
		if errors.Is(err, payments.ErrStarted) {
			continue
		}
		require.NoError(s, err, kind)
		lost.ProviderRef = checkout.ProviderRef
		s.pay(s.url(checkout), "paid")
		require.Equal(s, lost.Amount, s.look(lost).Captured, kind)
	}
}

// refundUnreadable garbles the answer to a refund that was made: nobody knows, and a look settles it.
func (s *suite) refundUnreadable() {
	refunder := s.refunder()
	if refunder == nil {
		s.Skip("this acquirer refunds only by hand")
	}
	for _, kind := range garbled {
		o, _ := s.bought("paid")
		s.fault(standintest.Fault{Kind: kind, Match: s.RefundPath})
		require.ErrorIs(s, s.give(refunder, o, "g-"+o.Attempt, o.Amount.Minor), payments.ErrUnknown, kind)
		_, refunded := s.entry(o)
		require.Equal(s, o.Amount.Minor, refunded, "%s: once", kind)
		s.fault(standintest.Fault{Kind: kind, Count: -1})
		seen, err := s.Provider.Look(s.Context(), s.Connection, o)
		require.Error(s, err, kind)
		require.Zero(s, seen.Refunded, kind)
		s.well(kind)
		require.Equal(s, o.Amount.Minor, s.look(o).Refunded.Minor, kind)
	}
}

func (s *suite) badCredentials() {
	require.NoError(s, s.Provider.Check(s.Context(), s.Connection))
	require.ErrorIs(s, s.Provider.Check(s.Context(), s.Bad), payments.ErrCredentials)
	if _, teller := s.Provider.(payments.Teller); !teller {
		o, _ := s.start()
		_, err := s.Provider.Look(s.Context(), s.Bad, o)
		require.ErrorIs(s, err, payments.ErrCredentials)
	}
	_, err := s.Provider.Start(s.Context(), s.Bad, s.order())
	require.ErrorIs(s, err, payments.ErrCredentials)
	for _, secret := range s.Private {
		require.NotContains(s, err.Error(), secret)
	}
}
