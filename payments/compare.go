package payments

import (
	"context"
	"errors"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Compare asks the acquirer about one attempt of a stretch, and compares what it says, what the registers say and what the
// ledger holds. With patient set an acquirer that cannot be reached is an error, to be tried again; otherwise the attempt
// counts as unanswered. Errors: ErrUnavailable, ErrCredentials.
func (s *Service) Compare(ctx context.Context, id tenants.ID, r Run, was Attempt, patient bool) error {
	seen, failure := s.ask(ctx, id, was.ID, evidence{Source: "status_answer", AskedAfter: "reconciliation"}, nil)
	away := errors.Is(failure, ErrUnavailable) || errors.Is(failure, ErrCredentials)
	if failure != nil && (patient || !away) {
		return failure
	}
	_, tells := s.Providers[was.Acquirer].(Teller)
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		a, err := attempt(ctx, tx, was.ID)
		if err != nil {
			return err
		}
		if tells {
			if a, err = s.byRegister(ctx, tx, r, a); err != nil {
				return err
			}
		}
		c := comparison{attempt: a, now: s.Now()}
		if err := tx.QueryRow(ctx, `SELECT deal_id FROM invoices WHERE id = $1`, a.InvoiceID).Scan(&c.deal); err != nil {
			return err
		}
		if c.ours, err = booked(ctx, tx, a.ID); err != nil {
			return err
		}
		if failure == nil {
			c.repaired(was)
		}
		if failure == nil && !tells {
			c.answer(seen)
		}
		said, err := registered(ctx, tx, a, c.ours)
		if err != nil {
			return err
		}
		c.register(said)
		if err := s.keepFound(ctx, tx, r, c, failure == nil && !tells); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE reconciliations SET checked = checked + 1, cursor = $2, repaired = repaired + $3, unanswered = unanswered + $4 WHERE id = $1`,
			r.ID, a.ID, number(c.learnt), number(failure != nil))
		return err
	})
}

// byRegister records what the registers say of an attempt beyond what we know, for an acquirer that cannot be asked: an
// accountant brought them, and nothing else will tell of a payment whose notice was lost. It returns the attempt as it is
// then.
func (s *Service) byRegister(ctx context.Context, tx *tenants.Tx, r Run, a Attempt) (Attempt, error) {
	in, err := lock(ctx, tx, a.InvoiceID)
	if err != nil {
		return a, err
	}
	ours, err := booked(ctx, tx, a.ID)
	if err != nil {
		return a, err
	}
	theirs, err := registered(ctx, tx, a, ours)
	if err != nil || !theirs.any {
		return a, err
	}
	because := evidence{Source: "register", Reference: r.ID.String()}
	var found []finding
	if theirs.captured.Minor > ours.captured.Minor {
		found = append(found, finding{state.Fact{Kind: state.Observed, At: s.Now(), Attempt: a.ID.String(), Status: state.AttemptPaid, Amount: theirs.captured}, because})
	}
	if theirs.refunded > ours.refunded {
		found = append(found, finding{state.Fact{Kind: state.RefundTotal, At: s.Now(), Attempt: a.ID.String(),
			Amount: Money{Minor: theirs.refunded, Currency: theirs.captured.Currency}}, because})
	}
	if err := s.record(ctx, tx, in, r.AskedBy, "", found...); err != nil {
		return a, err
	}
	return attempt(ctx, tx, a.ID)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// money is what one side says of an attempt: taken, given back of it through the acquirer, and withheld or lost in disputes.
type money struct {
	captured Money
	refunded int64
	charged  int64
	taken    time.Time // the ledger's day
	returned time.Time
	disputed time.Time
}

func (m money) paid() bool { return m.captured.Minor > 0 }

// booked is an attempt's money in the ledger.
func booked(ctx context.Context, tx *tenants.Tx, attempt uuid.UUID) (money, error) {
	rows, err := tenants.Rows[struct {
		Currency string     `db:"currency"`
		Captured int64      `db:"captured"`
		Refunded int64      `db:"refunded"`
		Taken    *time.Time `db:"taken"`
		Charged  int64      `db:"charged"`
		Returned *time.Time `db:"returned"`
		Disputed *time.Time `db:"disputed"`
	}](ctx, tx, `SELECT currency, coalesce(sum(minor) FILTER (WHERE kind = 'capture'), 0)::bigint AS captured,
			coalesce(-sum(minor) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded,
			coalesce(-sum(minor) FILTER (WHERE kind LIKE 'chargeback%'), 0)::bigint AS charged, max(day) FILTER (WHERE kind = 'capture') AS taken,
			max(day) FILTER (WHERE kind = 'refund') AS returned, max(day) FILTER (WHERE kind LIKE 'chargeback%') AS disputed
		FROM ledger_entries WHERE attempt_id = $1 AND account LIKE 'acquirer:%' GROUP BY currency`, attempt)
	var m money
	for _, r := range rows {
		if r.Captured == 0 {
			continue
		}
		m = money{captured: Money{Minor: r.Captured, Currency: r.Currency}, refunded: r.Refunded, charged: r.Charged, taken: *r.Taken}
		if r.Returned != nil {
			m.returned = *r.Returned
		}
		if r.Disputed != nil {
			m.disputed = *r.Disputed
		}
	}
	return m, err
}

// settlesIn is how many days after a payment its acquirer's registers must name it.
const settlesIn = 5

// said is what the registers say of an attempt.
type said struct {
	money
	any         bool
	owed        bool // they go on for long enough after the payment that it must be in them
	owedBack    bool // the same for its refunds
	owedCharged bool // and for its chargebacks
}

// registered adds up the registers' lines about an attempt.
func registered(ctx context.Context, tx *tenants.Tx, a Attempt, ours money) (said, error) {
	rows, err := tenants.Rows[struct {
		Currency string `db:"currency"`
		Captured int64  `db:"captured"`
		Refunded int64  `db:"refunded"`
		Charged  int64  `db:"charged"`
	}](ctx, tx, `SELECT currency, coalesce(sum(minor) FILTER (WHERE kind = 'payment'), 0)::bigint AS captured,
		coalesce(sum(minor) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded,
		coalesce(sum(minor) FILTER (WHERE kind = 'chargeback'), 0)::bigint AS charged FROM register_lines WHERE attempt_id = $1 GROUP BY currency
		ORDER BY sum(minor)`, a.ID)
	if err != nil {
		return said{}, err
	}
	var s said
	for _, r := range rows {
		s.any, s.captured, s.refunded, s.charged = true, Money{Minor: r.Captured, Currency: r.Currency}, r.Refunded, r.Charged
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(bool_or($2::date >= first_day AND $2 + $5::int <= last_day), false),
		coalesce(bool_or($3::date >= first_day AND $3 + $5 <= last_day), false), coalesce(bool_or($4::date >= first_day AND $4 + $5 <= last_day), false) FROM (
			SELECT min(day) AS first_day, max(day) AS last_day FROM register_lines WHERE acquirer = $1) r`,
		a.Acquirer, orNull(ours.taken), orNull(ours.returned), orNull(ours.disputed), settlesIn).Scan(&s.owed, &s.owedBack, &s.owedCharged)
	return s, err
}

// comparison gathers what is found about one attempt.
type comparison struct {
	attempt Attempt
	deal    string
	ours    money
	now     time.Time
	found   []Mismatch
	learnt  bool // the acquirer told something that we had missed
}

func (c *comparison) add(kind, source, ours, theirs, mended string) {
	id := c.attempt.ID
	m := Mismatch{Key: mismatchKey(source, kind, id.String()), Kind: kind, AttemptID: &id, DealID: c.deal, Reference: c.attempt.Reference, Ours: ours,
		Theirs: theirs, Source: source, Owner: string(tenants.Accountant), State: "open", FoundAt: c.now}
	if mended != "" {
		m.State, m.Reason, c.learnt = "closed", mended, true
	}
	c.found = append(c.found, m)
}

// repaired notes what the answer itself has put right.
func (c *comparison) repaired(was Attempt) {
	const mended = "Found by this run and recorded."
	money := func(minor int64) string { return Money{Minor: minor, Currency: was.Currency}.String() }
	switch {
	case was.Status != state.AttemptPaid && c.ours.paid():
		c.add(MissingHere, "acquirer", string(was.Status), c.ours.captured.String(), mended)
	case was.Status == state.AttemptPaid && was.Captured != c.attempt.Captured:
		c.add(AmountDiffers, "acquirer", money(was.Captured), money(c.attempt.Captured), mended)
	}
	if was.Status == state.AttemptPaid && was.Refunded != c.attempt.Refunded {
		c.add(RefundDiffers, "acquirer", money(was.Refunded), money(c.attempt.Refunded), mended)
	}
}

// answer compares the ledger with what the acquirer answered; a status that is empty proves nothing of an attempt that
// is not paid, and that the acquirer does not know one that is.
func (c *comparison) answer(seen Observation) {
	switch {
	case !c.ours.paid():
		return
	case seen.Status == "":
		c.add(MissingAtAcquirer, "acquirer", c.ours.captured.String(), "", "")
		return
	case seen.Status != state.AttemptPaid && seen.Refunded.Minor < c.ours.captured.Minor: // a reversal is cancelled with all money back
		c.add(StatusDiffers, "acquirer", string(state.AttemptPaid), string(seen.Status), "")
		return
	}
	if seen.Status == state.AttemptPaid {
		c.captured("acquirer", seen.Captured)
	}
	if seen.Refunded.Minor != c.ours.refunded {
		c.back(RefundDiffers, "acquirer", c.ours.refunded, seen.Refunded.Minor)
	}
}

func (c *comparison) captured(source string, theirs Money) {
	switch {
	case theirs.Currency != c.ours.captured.Currency:
		c.add(CurrencyDiffers, source, c.ours.captured.String(), theirs.String(), "")
	case theirs.Minor != c.ours.captured.Minor:
		c.add(AmountDiffers, source, c.ours.captured.String(), theirs.String(), "")
	}
}

// back adds that another amount went back.
func (c *comparison) back(kind, source string, ours, theirs int64) {
	money := func(minor int64) string { return Money{Minor: minor, Currency: c.ours.captured.Currency}.String() }
	c.add(kind, source, money(ours), money(theirs), "")
}

// register compares the ledger with the registers.
func (c *comparison) register(theirs said) {
	switch {
	case !theirs.any && c.ours.paid() && theirs.owed:
		c.add(MissingAtAcquirer, "register", c.ours.captured.String(), "", "")
	case !theirs.any:
	case !c.ours.paid():
		c.add(MissingHere, "register", string(c.attempt.Status), theirs.captured.String(), "")
	default:
		if theirs.captured.Minor > 0 {
			c.captured("register", theirs.captured)
		} else if theirs.owed { // they tell only what came after the payment
			c.add(MissingAtAcquirer, "register", c.ours.captured.String(), "", "")
		}
		if theirs.refunded > c.ours.refunded || (theirs.refunded < c.ours.refunded && theirs.owedBack) {
			c.back(RefundDiffers, "register", c.ours.refunded, theirs.refunded)
		}
		if theirs.charged > c.ours.charged || (theirs.charged < c.ours.charged && theirs.owedCharged) {
			c.back(ChargebackDiffers, "register", c.ours.charged, theirs.charged)
		}
	}
}
