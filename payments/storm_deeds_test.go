package payments_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// misbehave orders a fault of the double now and then.
func (s *storm) misbehave() {
	if s.chance(6) && len(s.paths) > 0 {
		kinds := []standintest.Kind{standintest.DropAfterCommit, standintest.DropAfterCommit, standintest.Down, standintest.Throttle, standintest.HTMLError, standintest.HTMLPage, standintest.Truncated, standintest.Slow}
		f := standintest.Fault{Kind: kinds[s.dice.IntN(len(kinds))], Match: s.paths[s.dice.IntN(len(s.paths))]}
		if f.Kind == standintest.Slow { // it begins its work when we have gone away
			f.MS = 60_000
		}
		s.fault(f)
	}
	if s.chance(15) {
		kinds := []standintest.Kind{standintest.Duplicate, standintest.Reorder, standintest.Forge}
		s.fault(standintest.Fault{Kind: kinds[s.dice.IntN(len(kinds))]})
	}
}

func (s *storm) fault(f standintest.Fault) {
	s.tally[string(f.Kind)]++
	require.NoError(s, s.control.Order(f))
}

func (s *storm) able(what string) bool { return slices.Contains(s.can, what) }

// sell makes an invoice and lets its customer do something; every story begins with an open link.
func (s *storm) sell(i int) {
	in, err := s.Create(s.Context(), s.ID, s.By, payments.NewInvoice{DealID: uuid.NewString()[:8], Terms: payments.Terms{
		Amount: tilltest.AMD(100 * (100 + s.dice.Int64N(1_000_000))), Purpose: "Order", ExpiresAt: s.Now().Add(2*time.Hour + s.soon(70*time.Hour))}})
	require.NoError(s, err)
	s.invoices = append(s.invoices, in)
	stories := []struct {
		needs string
		weigh int
		tell  func(payments.Invoice)
	}{
		{"", 40, s.pays("paid")}, {"", 8, s.declined}, {"", 6, s.pays("abandoned")}, {"", 6, s.pays("wrong_amount")}, {"", 8, s.late}, {"", 8, s.twice},
		{"", 5, s.cancelled}, {"", 5, s.superseded}, {"", 6, s.partInCash}, {"wrong_currency", 4, s.pays("wrong_currency")},
		{"authorized", 6, s.held}, {"merchant", 3, s.foreign}, {"orphan", 3, s.orphan},
	}
	for n := s.dice.IntN(108); ; { // as the weights add up to, where all can happen
		for _, story := range stories {
			if n -= story.weigh; n < 0 && (story.needs == "" || s.able(story.needs)) {
				story.tell(in)
				return
			}
		}
	}
}

// visit opens the link and presses Pay until there is a page, for a while; then goes on with it.
func (s *storm) visit(in payments.Invoice, then func(page string)) { s.visitAgain(in, 12, then) }

func (s *storm) visitAgain(in payments.Invoice, tries int, then func(page string)) {
	checkout, err := s.Pay(s.Context(), s.ID, in.ID, "token", "", "en")
	page := ""
	if err == nil {
		page = s.opened(checkout)
	}
	switch {
	case page != "":
		then(page)
	case err != nil && !errors.Is(err, payments.ErrUnavailable) && !errors.Is(err, payments.ErrBeingChecked):
		require.True(s, errors.Is(err, payments.ErrState) || errors.Is(err, payments.ErrExpired), "%v", err)
	case tries > 0:
		s.tally["visited again"]++
		s.later(2*time.Minute, func() { s.visitAgain(in, tries-1, then) })
	default:
		s.Errorf("nobody could pay %s: %v", in.Number, err)
	}
}

// opened is the page that a checkout leads to; empty when the acquirer did not answer the form.
func (s *storm) opened(c payments.Checkout) string {
	if c.Form == nil {
		return c.URL
	}
	form := url.Values{}
	for name, value := range c.Form {
		form.Set(name, value)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.PostForm(c.URL, form)
	require.NoError(s, err)
	require.NoError(s, res.Body.Close())
	require.Equal(s, http.StatusSeeOther, res.StatusCode)
	return s.page + res.Header.Get("Location")
}

// at is what the customer does on the acquirer's page; so many notices follow, perhaps late. Whoever pays may get some of
// it back.
func (s *storm) at(page, outcome string) {
	delay := 0
	if s.chance(20) { // a day
		delay = int(s.soon(24*time.Hour) / time.Millisecond)
	}
	status, answer := s.command("pay", map[string]any{"url": page, "outcome": outcome, "notices": s.dice.IntN(4), "delay_ms": delay})
	if status != http.StatusOK {
		s.tally["not taken"]++
		return
	}
	s.tally[outcome]++
	var e acquirertest.Entry
	require.NoError(s, json.Unmarshal([]byte(answer), &e))
	if e.Captured > 0 {
		s.later(s.soon(20*time.Hour), func() { s.aftermath(e.Ref, e.Captured) })
	}
}

// aftermath is what becomes of money that was taken.
func (s *storm) aftermath(ref string, captured int64) {
	part := 100 * (1 + s.dice.Int64N(max(1, captured/200)))
	if s.able("refund_status") && s.chance(25) { // the last refund fails after all
		s.later(s.soon(48*time.Hour), func() { s.tell("refund_status", ref, 0, "failed") })
	}
	switch n := s.dice.IntN(100); {
	case n < 8 && s.able("refund"):
		s.tell("refund", ref, part, "")
		s.later(s.soon(24*time.Hour), func() { s.tell("refund", ref, 0, "") })
	case n < 14 && s.able("refund"):
		s.tell("refund", ref, part, "")
	case n < 18 && s.able("reverse"):
		s.tell("reverse", ref, 0, "")
	case n < 26 && s.able("dispute"):
		s.tell("dispute", ref, part, "opened")
		if end := []string{"won", "lost", ""}[s.dice.IntN(3)]; end != "" {
			s.later(s.soon(24*time.Hour), func() { s.tell("dispute", ref, 0, end) })
		}
	case n < 50:
		s.giveBack(ref, part)
		s.later(s.soon(24*time.Hour), func() { s.giveBack(ref, part/2) })
	}
}

// tell is bank staff at work.
func (s *storm) tell(what, ref string, minor int64, status string) {
	s.tally["bank "+what+" "+status]++
	s.command(what, map[string]any{"ref": ref, "amount_minor": minor, "status": status, "notices": s.dice.IntN(3)})
}

// giveBack asks for a refund of the payment with this reference through the acquirer.
func (s *storm) giveBack(ref string, minor int64) {
	var found []payments.Invoice
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		ids, err := tenants.Rows[struct {
			ID uuid.UUID `db:"id"`
		}](ctx, tx, `SELECT id FROM invoices WHERE reference = $1`, ref)
		for _, row := range ids {
			in, err := payments.Get(ctx, tx, row.ID)
			require.NoError(s, err)
			found = append(found, in)
		}
		return err
	})
	for _, in := range found {
		amount := payments.Money{Minor: max(100, minor/100*100), Currency: in.Currency}
		if s.chance(20) { // all that is left
			amount.Minor = max(100, in.Paid-in.Refunded)
		}
		_, err := s.Refund(s.Context(), s.ID, s.By, in.ID, payments.RefundRequest{Amount: amount, Reason: "Returned", Key: uuid.NewString(), Request: []byte(ref)})
		if err == nil {
			s.tally["refund asked"]++
		}
		require.True(s, err == nil || errors.Is(err, payments.ErrInvalid) || errors.Is(err, payments.ErrState), "%v", err)
	}
}

func (s *storm) pays(outcome string) func(payments.Invoice) {
	return func(in payments.Invoice) { s.visit(in, func(page string) { s.at(page, outcome) }) }
}

func (s *storm) declined(in payments.Invoice) {
	s.visit(in, func(page string) {
		s.at(page, "declined")
		s.later(s.soon(10*time.Minute), func() { s.at(page, "paid") })
	})
}

// late pays when the link's time is over.
func (s *storm) late(in payments.Invoice) {
	s.visit(in, func(page string) {
		s.later(in.ExpiresAt.Sub(s.Now())+s.soon(40*time.Hour), func() { s.at(page, "paid") })
	})
}

// twice pays two checkouts of one invoice, the older one last.
func (s *storm) twice(in payments.Invoice) {
	s.visit(in, func(first string) {
		s.later(25*time.Minute, func() {
			s.visit(in, func(second string) {
				s.at(second, "paid")
				s.later(s.soon(5*time.Hour), func() { s.at(first, "paid") })
			})
		})
	})
}

func (s *storm) cancelled(in payments.Invoice) {
	s.visit(in, func(page string) {
		s.later(s.soon(15*time.Minute), func() {
			_, err := s.Cancel(s.Context(), s.ID, s.By, in.ID)
			require.True(s, err == nil || errors.Is(err, payments.ErrState) || errors.Is(err, payments.ErrBeingChecked), "%v", err)
			s.at(page, "paid")
		})
	})
}

func (s *storm) superseded(in payments.Invoice) {
	s.visit(in, func(old string) {
		next, err := s.Replace(s.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Now().Add(30 * time.Hour)}})
		if err != nil {
			require.True(s, errors.Is(err, payments.ErrState) || errors.Is(err, payments.ErrBeingChecked), "%v", err)
			return
		}
		s.invoices = append(s.invoices, next)
		s.later(s.soon(10*time.Minute), func() { s.at(old, "paid") })
		if s.chance(50) {
			s.later(s.soon(5*time.Hour), func() { s.visit(next, func(page string) { s.at(page, "paid") }) })
		}
	})
}

// partInCash pays a part at the counter and the rest by the link, and perhaps the first checkout as well.
func (s *storm) partInCash(in payments.Invoice) {
	s.visit(in, func(first string) {
		payment, _, err := s.Receive(s.Context(), s.ID, s.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(in.Minor / 300 * 100),
			ReceivedAt: s.Now(), Reference: "K-1", Reason: "At the counter", Key: uuid.NewString()})
		if err != nil {
			require.ErrorIs(s, err, payments.ErrState)
			return
		}
		s.visit(in, func(rest string) { s.at(rest, "paid") })
		if s.chance(40) {
			s.later(s.soon(5*time.Hour), func() { s.at(first, "paid") })
		}
		if s.chance(30) {
			s.later(s.soon(30*time.Hour), func() {
				_, err := s.Reverse(s.Context(), s.ID, s.By, payment, "Another customer's")
				require.NoError(s, err)
			})
		}
	})
}

func (s *storm) held(in payments.Invoice) {
	s.visit(in, func(page string) {
		s.at(page, "authorized")
		ref := s.newest(in).ProviderRef
		switch s.dice.IntN(3) {
		case 0:
			s.later(s.soon(40*time.Hour), func() { s.tell("capture", ref, 0, "") })
		case 1:
			s.later(s.soon(40*time.Hour), func() { s.tell("reverse", ref, 0, "") })
		}
	})
}

// foreign is a payment whose answers name another merchant.
func (s *storm) foreign(in payments.Invoice) {
	s.visit(in, func(page string) {
		s.command("merchant", map[string]any{"ref": s.newest(in).ProviderRef})
		s.at(page, "paid")
	})
}

// orphan is money that only its notice tells of, so the genuine one is sent.
func (s *storm) orphan(payments.Invoice) {
	for forge := true; forge; {
		_, forge = s.control.Take(standintest.Forge, "")
	}
	status, _ := s.command("orphan", map[string]any{"amount_minor": 100 * (1 + s.dice.Int64N(100_000)), "currency": "AMD", "url": s.address,
		"notices": 1 + s.dice.IntN(2)})
	require.Equal(s, http.StatusOK, status)
	s.orphans++
}

func (s *storm) newest(in payments.Invoice) (a payments.Attempt) {
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Attempts(ctx, tx, in.ID)
		a = all[len(all)-1]
		return err
	})
	return a
}

// decideSomething is an administrator who resolves some of the open exceptions in one of the ways that are offered.
func (s *storm) decideSomething() {
	for _, e := range s.open() {
		offered := slices.DeleteFunc(e.Decisions(), func(d string) bool { return d == "refund_outside" })
		if e.InvoiceID == nil || !s.chance(40) || len(offered) == 0 {
			continue
		}
		c := payments.Choice{Decision: offered[s.dice.IntN(len(offered))], Reason: "So it is", Reference: "R-1"}
		if c.Decision == "move" {
			c.Invoice = s.anotherInvoice(e)
		}
		if e.Kind == payments.RefundUnknown {
			c.Decision = s.lookUp(e)
		}
		s.tally["decided "+c.Decision]++
		_, err := s.Resolve(s.Context(), s.ID, s.By, e.ID, c)
		require.True(s, err == nil || errors.Is(err, payments.ErrInvalid) || errors.Is(err, payments.ErrState) || errors.Is(err, payments.ErrNotFound),
			"%s of %s: %v", c.Decision, e.Kind, err)
		if err == nil && (c.Decision == "accept" || c.Decision == "write_off") && s.chance(30) {
			s.later(s.soon(10*time.Hour), func() { s.thinkAgain(e.ID) })
		}
	}
}

// lookUp is an administrator who finds in the acquirer's console whether a refund went through.
func (s *storm) lookUp(e payments.Exception) string {
	var b booked
	var total int64
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT r.before + r.minor, a.reference, coalesce(a.order_number, a.number), a.provider_ref FROM refunds r
			JOIN attempts a ON a.tenant_id = r.tenant_id AND a.id = r.attempt_id WHERE r.id = $1`,
			strings.TrimPrefix(e.Key, payments.RefundUnknown+":")).Scan(&total, &b.Reference, &b.Number, &b.Provider)
	})
	if books, _ := s.theirs(b); books.refunded >= total {
		return "refunded"
	}
	return "not_refunded"
}

// thinkAgain is an administrator who takes a decision back.
func (s *storm) thinkAgain(decision uuid.UUID) {
	_, err := s.UndoDecision(s.Context(), s.ID, s.By, decision, "It was not so")
	require.True(s, err == nil || errors.Is(err, payments.ErrState), "%v", err)
	if err == nil {
		s.tally["decision undone"]++
	}
}

// anotherInvoice is one that the money under review fits.
func (s *storm) anotherInvoice(e payments.Exception) string {
	currency := e.Currency
	if _, known := state.Exponent(currency); !known || currency != "AMD" {
		return "DP-NONE"
	}
	in := s.Invoice(uuid.NewString()[:8], e.Minor)
	s.invoices = append(s.invoices, in)
	return in.Number
}
