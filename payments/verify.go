package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// The ladder of checks that every started attempt promises: often while the customer may still be there, then rarer,
// for a week. A notice that never comes costs the first step.
const (
	firstCheck  = 30 * time.Second
	sessionLife = 20 * time.Minute // of a hosted checkout whose acquirer does not say
	checksFor   = 7 * 24 * time.Hour
)

// nextCheck says when to ask again about an attempt; false ends the ladder. A page that its acquirer keeps open for weeks is
// asked about as long.
func nextCheck(a Attempt, now time.Time) (time.Time, bool) {
	closes := a.CreatedAt.Add(sessionLife)
	if a.Deadline != nil && a.Deadline.Before(a.CreatedAt.Add(time.Hour)) {
		closes = a.Deadline.Add(time.Minute)
	}
	age := now.Sub(a.CreatedAt)
	switch {
	case a.Status == state.Authorized && age > checksFor && age < holdWatched,
		a.Status.Live() && age > checksFor && a.Deadline != nil && now.Before(*a.Deadline):
		return now.Add(24 * time.Hour), true
	case a.Status == state.AttemptPaid, age > checksFor:
		return time.Time{}, false
	case a.Status == state.Authorized && age < time.Hour, a.Status.Live() && now.Before(closes):
		return now.Add(firstCheck), true
	case age < 24*time.Hour:
		return now.Add(time.Hour), true
	}
	return now.Add(24 * time.Hour), true
}

// Check keeps the promise to ask about an attempt. It returns when to ask again; the zero time ends the ladder.
// Errors: ErrUnavailable, ErrCredentials (ask again later).
func (s *Service) Check(ctx context.Context, id tenants.ID, attemptID uuid.UUID) (time.Time, error) {
	var next time.Time
	_, err := s.ask(ctx, id, attemptID, evidence{Source: "status_answer"}, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		a, err := attempt(ctx, tx, attemptID)
		if err != nil {
			return err
		}
		if _, tells := s.Providers[a.Acquirer].(Teller); tells {
			next, err = s.outdated(ctx, tx, in, a)
			return err
		}
		at, again := nextCheck(a, s.Now())
		next = at
		if !again && a.Status.Live() && a.Status != state.Authorized {
			return s.giveUp(ctx, tx, in, a)
		}
		return s.watchHold(ctx, tx, in, a)
	})
	return next, err
}

// giveUp ends an attempt of which its acquirer has said nothing final in all the time that it was asked. Where the customer
// had come back from its page a person looks. Money that comes all the same counts as it would have before.
func (s *Service) giveUp(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt) error {
	if err := s.expireAttempt(ctx, tx, in, a); err != nil || a.ReturnedAt == nil {
		return err
	}
	_, err := s.raiseOnce(ctx, tx, NeverAnswered, in, a)
	return err
}

// expireAttempt ends an attempt by our own clock, until the acquirer says otherwise.
func (s *Service) expireAttempt(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt) error {
	return s.record(ctx, tx, in, tenants.Timer, "attempt.expired", finding{
		state.Fact{Kind: state.Observed, At: s.Now(), Attempt: a.ID.String(), Status: state.AttemptExpired}, evidence{Source: "timer"}})
}

// Hurry promises to ask about an attempt now.
func (s *Service) Hurry(ctx context.Context, id tenants.ID, attemptID uuid.UUID) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Check, attemptID.String(), s.Now())
	})
}

// Verify asks the acquirer what became of an attempt and records the answer. An answer that proves nothing records
// nothing and is no error. Errors: ErrNotFound, ErrUnavailable, ErrCredentials.
func (s *Service) Verify(ctx context.Context, id tenants.ID, attemptID uuid.UUID, because evidence) error {
	_, err := s.ask(ctx, id, attemptID, because, nil)
	return err
}

// ask is Verify that also returns the answer; one that proves nothing has no status. then, unless nil, follows in the
// transaction that records the answer, also where there is nobody to ask; the invoice is locked.
func (s *Service) ask(ctx context.Context, id tenants.ID, attemptID uuid.UUID, because evidence,
	then func(context.Context, *tenants.Tx, Invoice) error) (seen Observation, err error) {
	var o opening
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var invoices []Invoice
		tenants.Ask(tx, &o.all, `SELECT `+attemptColumns+` FROM attempts WHERE invoice_id = (SELECT invoice_id FROM attempts WHERE id = $1)`, attemptID)
		tenants.Ask(tx, &invoices, `SELECT `+invoiceColumns+` FROM invoices WHERE id = (SELECT invoice_id FROM attempts WHERE id = $1)`, attemptID)
		var err error
		if o.conn, err = s.connectionWhere(ctx, tx, `(SELECT connection_id FROM attempts WHERE id = $1)`, attemptID); err != nil {
			return err
		}
		o.invoice = invoices[0]
		o.attempt = o.all[slices.IndexFunc(o.all, func(a Attempt) bool { return a.ID == attemptID })]
		return nil
	})
	if err != nil {
		return seen, err
	}
	provider, ok := s.Providers[o.attempt.Acquirer]
	if !ok {
		return seen, fmt.Errorf("%w: no adapter for %s", ErrUnavailable, o.attempt.Acquirer)
	}
	record := func(fn func(context.Context, *tenants.Tx, Invoice) error) error {
		return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			in, err := lock(ctx, tx, o.attempt.InvoiceID)
			if err == nil {
				err = fn(ctx, tx, in)
			}
			if err == nil && then != nil {
				err = then(ctx, tx, in)
			}
			return err
		})
	}
	if _, tells := provider.(Teller); tells { // it cannot be asked
		if then == nil {
			return seen, nil
		}
		return seen, record(func(context.Context, *tenants.Tx, Invoice) error { return nil })
	}
	seen, failure := s.look(ctx, provider, o)
	s.heed(ctx, id, o.conn, failure)
	if failure != nil && !errors.Is(failure, ErrNothingNew) {
		return seen, failure
	}
	return seen, record(func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		if errors.Is(failure, ErrUnclear) {
			if err := s.unclear(ctx, tx, in, o.attempt, seen); err != nil {
				return err
			}
		}
		return s.observe(ctx, tx, in, o.attempt, seen, because)
	})
}

// look asks about an attempt. A checkout that nobody should pay any more, because what is paid there would need a person, is
// closed where the acquirer can, unless its answer says more than that it is open; closing proves nothing, so it is asked again.
func (s *Service) look(ctx context.Context, provider Provider, o opening) (Observation, error) {
	order := o.order("en")
	look := func() (Observation, error) { return provider.Look(ctx, o.conn, order) }
	seen, err := s.hangs.ask(o.conn.place(), look)
	closer, able := provider.(Canceller)
	if !able || !moot(o.invoice, o.attempt, o.all) {
		return seen, err
	}
	silent := errors.Is(err, ErrNothingNew) && !errors.Is(err, ErrUnclear)
	open := err == nil && !seen.Busy && slices.Contains([]state.AttemptStatus{"", state.Created, state.Pending}, seen.Status)
	if !silent && !open {
		return seen, err
	}
	if err := closer.CancelCheckout(ctx, o.conn, order); err != nil {
		s.Log.InfoContext(ctx, "checkout not closed", "connection", o.conn.ID, "attempt", o.attempt.ID, "err", err)
	}
	return s.hangs.ask(o.conn.place(), look)
}

// moot says whether an attempt is open although its link is closed, another amount is owed by now, or the customer was sent to
// the page of another one since.
func moot(in Invoice, a Attempt, all []Attempt) bool {
	closed := in.Status == state.Cancelled || in.Status == state.Expired || a.Minor != in.Outstanding ||
		slices.ContainsFunc(all, func(b Attempt) bool { return b.Checkout != nil && b.Status.Live() && b.newer(a) })
	return closed && a.Status != state.Authorized && a.Status.Live()
}

// closeMoot promises to look at once at what an invoice left open at acquirers that can close it.
func (s *Service) closeMoot(ctx context.Context, tx *tenants.Tx, c change) error {
	if !slices.ContainsFunc(c.after.Attempts, func(a state.AttemptPicture) bool { return a.Status.Live() }) {
		return nil // as after most payments
	}
	in := c.in
	in.Status, in.Outstanding = c.after.Status, c.after.Outstanding
	all, err := Attempts(ctx, tx, in.ID)
	if err != nil {
		return err
	}
	s.promiseMoot(tx, in, all)
	return nil
}

// promiseMoot is closeMoot for an invoice whose attempts are read.
func (s *Service) promiseMoot(tx *tenants.Tx, in Invoice, all []Attempt) {
	var open []string
	for _, a := range all {
		if _, able := s.Providers[a.Acquirer].(Canceller); able && moot(in, a, all) {
			open = append(open, a.ID.String())
		}
	}
	outbox.Promise(tx, outbox.Check, s.Now(), open...)
}

// observe turns an acquirer's answer into facts.
func (s *Service) observe(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt, seen Observation, because evidence) error {
	tx.Later(`UPDATE attempts SET checks = checks + 1, checked_at = $2,
		provider_ref = CASE WHEN provider_ref = '' THEN $3 ELSE provider_ref END, paid_at = coalesce(paid_at, $4), busy = CASE WHEN $5 THEN $6 ELSE busy END WHERE id = $1`,
		a.ID, s.Now(), seen.ProviderRef, orNull(seen.PaidAt), seen.Status != "", seen.Busy)
	if seen.Status == "" {
		return nil
	}
	because.Code, because.PaidAt, because.RequestID = seen.Code, orNull(seen.PaidAt), tenants.RequestOf(ctx)
	if json.Valid(seen.Raw) {
		because.Answer = seen.Raw
	}
	news := seen.Status != a.Status || seen.Refunded.Minor != a.Refunded || len(seen.Disputes)+len(seen.Failed) > 0
	if news && because.Notice == "" && because.Source == "status_answer" {
		if err := because.after(ctx, tx, a); err != nil {
			return err
		}
	}
	fact := state.Fact{Kind: state.Observed, At: s.Now(), Attempt: a.ID.String(), Status: seen.Status}
	if seen.Status == state.AttemptPaid {
		fact.Amount, fact.Foreign = seen.Captured, seen.Foreign
	}
	found := []finding{{fact, because}}
	if seen.Status == a.Status && seen.Status != state.AttemptPaid {
		found = nil
	}
	total := seen.Refunded // with what failed, so that it only grows
	for _, f := range seen.Failed {
		total = Money{Minor: total.Minor + f.Amount.Minor, Currency: f.Amount.Currency}
		found = append(found, finding{state.Fact{Kind: state.RefundFailed, At: s.Now(), Attempt: a.ID.String(), Ref: f.Ref, Amount: f.Amount}, because})
	}
	if total.Minor > 0 { // what is known already is no new fact
		found = append(found, finding{state.Fact{Kind: state.RefundTotal, At: s.Now(), Attempt: a.ID.String(), Amount: total}, because})
	}
	for _, d := range seen.Disputes {
		found = append(found, finding{state.Fact{Kind: d.Status, At: s.Now(), Attempt: a.ID.String(), Ref: d.Ref, Amount: d.Amount}, because})
	}
	return s.record(ctx, tx, in, tenants.Acquirer, "", found...)
}

// noticed says which notice this rests on.
func (e evidence) noticed(id uuid.UUID, received time.Time, authentic bool) evidence {
	e.Notice, e.NoticeAt, e.Signature = id.String(), &received, "none"
	if authentic {
		e.Signature = "good"
	}
	return e
}

// after names the notice that made us ask: the newest since we asked before.
func (e *evidence) after(ctx context.Context, tx *tenants.Tx, a Attempt) error {
	f, err := one(tenants.Row[filed](ctx, tx, `SELECT `+filedColumns+` FROM notices WHERE attempt_id = $1
		AND received_at > coalesce($2, '-infinity'::timestamptz) ORDER BY received_at DESC LIMIT 1`, a.ID, a.CheckedAt))
	if err == nil {
		*e = e.noticed(f.ID, f.ReceivedAt, f.Authentic)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// soon is the picture that judges whether a link may be closed: money of a payment that is under way counts as held, as long as it
// is asked about.
func (s *Service) soon(ctx context.Context, tx *tenants.Tx, in Invoice) (state.Picture, error) {
	p, _, err := picture(ctx, tx, in)
	if err != nil || p.Authorized || !slices.ContainsFunc(p.Attempts, func(a state.AttemptPicture) bool { return a.Status.Live() }) {
		return p, err
	}
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM attempts WHERE invoice_id = $1 AND busy AND created_at > $2 AND status IN ('created', 'pending'))`,
		in.ID, s.Now().Add(-checksFor)).Scan(&p.Authorized)
	return p, err
}

// CheckInvoice asks now about every attempt of the invoice that may still change, and about paid ones too: money may
// have gone back. Errors: ErrNotFound, ErrUnavailable, ErrCredentials.
func (s *Service) CheckInvoice(ctx context.Context, id tenants.ID, invoice uuid.UUID) error {
	var all []Attempt
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if _, err := Get(ctx, tx, invoice); err != nil {
			return err
		}
		var err error
		all, err = Attempts(ctx, tx, invoice)
		return err
	})
	for _, a := range all {
		err = errors.Join(err, s.Verify(ctx, id, a.ID, evidence{Source: "status_answer"}))
	}
	return err
}

// askedBefore is how long a person waits for acquirers before a link is withdrawn.
const askedBefore = 10 * time.Second

// askBefore asks the acquirers of an invoice's open attempts, all at once, so that money which was just taken is no surprise
// after the link is withdrawn. Those that cannot be reached keep nobody from that. Error: ErrNotFound.
func (s *Service) askBefore(ctx context.Context, id tenants.ID, invoice uuid.UUID) error {
	var all []Attempt
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		in, err := Get(ctx, tx, invoice)
		if err != nil || !payable(in.Status) {
			return err
		}
		all, err = Attempts(ctx, tx, invoice)
		return err
	})
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askedBefore)
	defer cancel()
	var answers sync.WaitGroup
	for _, a := range all {
		if !a.Status.Live() {
			continue
		}
		answers.Go(func() {
			if err := s.Verify(asking, id, a.ID, evidence{Source: "status_answer", AskedAfter: "withdrawal"}); err != nil {
				s.Log.InfoContext(ctx, "no answer before a link is withdrawn", "tenant", id, "attempt", a.ID, "err", err)
			}
		})
	}
	answers.Wait()
	return nil
}

// unasked is how long after its time a link waits for acquirers that cannot be asked. They may never answer again, as when the
// merchant has left them; money that was taken in time all the same needs a person then, as late money does.
const unasked = time.Hour

// Expire keeps the promise made for the end of a link's time: the acquirer is asked first, so that a payment in time is
// not called late. It returns when to try again, or the zero time. Errors: as Verify.
func (s *Service) Expire(ctx context.Context, id tenants.ID, invoice uuid.UUID) (time.Time, error) {
	unanswered := s.CheckInvoice(ctx, id, invoice)
	var again time.Time
	_, err := s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		if s.Now().Before(in.ExpiresAt) {
			again = in.ExpiresAt
			return nil
		}
		if unanswered != nil && s.Now().Before(in.ExpiresAt.Add(unasked)) {
			return unanswered
		}
		if taken, err := reserved(ctx, tx, in.ID, uuid.Nil, s.Now()); taken || err != nil {
			again = s.Now().Add(reservedFor)
			return err
		}
		p, err := s.soon(ctx, tx, in)
		if err != nil {
			return err
		}
		answer, err := state.Decide(p, state.Expire)
		if err != nil {
			return err
		}
		if answer == state.Ignore {
			if p.Authorized {
				again = s.Now().Add(time.Hour)
			}
			return nil
		}
		return s.record(ctx, tx, in, tenants.Timer, "invoice.expired",
			finding{state.Fact{Kind: state.TimeOver, At: s.Now()}, evidence{Source: "timer"}})
	})
	return again, err
}
