package payments

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Attempt is one try to pay an invoice at one acquirer.
type Attempt struct {
	ID           uuid.UUID           `db:"id"`
	InvoiceID    uuid.UUID           `db:"invoice_id"`
	Seq          int                 `db:"seq"`
	Turn         int                 `db:"turn"` // see newer
	ConnectionID uuid.UUID           `db:"connection_id"`
	Acquirer     string              `db:"acquirer"`
	Reference    string              `db:"reference"`    // our order number at the acquirer
	Number       int64               `db:"number"`       // the same as an integer, in the merchant's range where there is one
	ProviderRef  string              `db:"provider_ref"` // the acquirer's own
	Minor        int64               `db:"minor"`
	Currency     string              `db:"currency"`
	Status       state.AttemptStatus `db:"status"`
	Captured     int64               `db:"captured"`
	Refunded     int64               `db:"refunded"`
	Deadline     *time.Time          `db:"deadline"`
	PaidAt       *time.Time          `db:"paid_at"`     // the acquirer's own word
	ReturnedAt   *time.Time          `db:"returned_at"` // when the customer came back from its page; proves nothing
	CheckedAt    *time.Time          `db:"checked_at"`
	Busy         bool                `db:"busy"` // as the acquirer last said: see Observation
	CreatedAt    time.Time           `db:"created_at"`

	Checkout []byte `db:"checkout"` // sealed
}

const attemptColumns = `id, invoice_id, seq, turn, connection_id, acquirer, reference, coalesce(order_number, number) AS number, provider_ref, minor, currency, status, captured, refunded,
	deadline, paid_at, returned_at, checked_at, busy, created_at, checkout`

// Attempts lists the attempts of these invoices in the order they were started.
func Attempts(ctx context.Context, tx *tenants.Tx, invoices ...uuid.UUID) ([]Attempt, error) {
	return tenants.Rows[Attempt](ctx, tx, `SELECT `+attemptColumns+` FROM attempts WHERE invoice_id = ANY($1) ORDER BY created_at, seq`, invoices)
}

func attempt(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (Attempt, error) {
	return one(tenants.Row[Attempt](ctx, tx, `SELECT `+attemptColumns+` FROM attempts WHERE id = $1`, id))
}

// newer says whether the customer was sent to the page of a after that of b. One that is gone back to is newer than those begun
// since.
func (a Attempt) newer(b Attempt) bool { return a.Turn > b.Turn || (a.Turn == b.Turn && a.Seq > b.Seq) }

// newestFirst sorts attempts by when the customer was sent to them.
func newestFirst(a, b Attempt) int {
	if a.newer(b) {
		return -1
	}
	return 1
}

// opening is an attempt on its way to the acquirer.
type opening struct {
	attempt Attempt
	invoice Invoice
	all     []Attempt // of the invoice
	conn    Connection
	hook    string
	back    string
	ready   *Checkout // a checkout that is still open
}

// Pay opens an attempt, or finds the one that is still open, and says where to send the customer. back is the token of
// the link. Errors: ErrNotFound, ErrState, ErrExpired, ErrBeingChecked, ErrNoAcquirer, ErrUnavailable, ErrRefused.
func (s *Service) Pay(ctx context.Context, id tenants.ID, invoice uuid.UUID, token, acquirer, lang string) (Checkout, error) {
	var o opening
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		o, err = s.open(ctx, tx, invoice, acquirer)
		return err
	})
	if err != nil {
		return Checkout{}, err
	}
	if o.ready != nil {
		return *o.ready, nil
	}
	o.back = s.PublicURL + "/p/" + token + "/back"
	order := o.order(lang)
	checkout, err := s.Providers[o.attempt.Acquirer].Start(ctx, o.conn, order)
	s.heed(ctx, id, o.conn, err)
	if errors.Is(err, ErrStarted) && s.Now().Sub(o.attempt.CreatedAt) >= startLost {
		if err := s.abandon(ctx, id, o); err != nil {
			return Checkout{}, err
		}
		return s.Pay(ctx, id, invoice, token, acquirer, lang) // with another attempt; each is given up once
	}
	if err != nil {
		return Checkout{}, s.notStarted(ctx, id, o, err)
	}
	return checkout, s.started(ctx, id, o, checkout)
}

func (o opening) order(lang string) Order {
	a := o.attempt
	return Order{Attempt: a.ID.String(), Reference: a.Reference, Number: a.Number, Amount: Money{Minor: a.Minor, Currency: a.Currency},
		Description: o.invoice.Purpose, ReturnURL: o.back, NotifyURL: o.hook, Language: lang, Deadline: o.invoice.ExpiresAt, ProviderRef: a.ProviderRef}
}

// open decides under the invoice's lock. Nobody else can start an attempt on this invoice meanwhile.
func (s *Service) open(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID, acquirer string) (opening, error) {
	in, err := lock(ctx, tx, invoice)
	if err != nil {
		return opening{}, err
	}
	p, _, err := picture(ctx, tx, in)
	if err != nil {
		return opening{}, err
	}
	if _, err := state.Decide(p, state.Pay); err != nil {
		return opening{}, err
	}
	taken, err := reserved(ctx, tx, in.ID, uuid.Nil, s.Now())
	if err != nil {
		return opening{}, err
	}
	if p.Authorized || taken {
		return opening{}, ErrBeingChecked
	}
	if !s.Now().Before(in.ExpiresAt) {
		return opening{}, ErrExpired
	}
	if in.Acquirer != "" { // chosen when the link was made
		acquirer = in.Acquirer
	}
	if err := s.offers(ctx, tx, in, p, acquirer); err != nil {
		return opening{}, err
	}
	o := opening{invoice: in}
	if o.attempt, o.ready, err = s.reuse(ctx, tx, in, p, acquirer); err != nil || o.ready != nil {
		return o, err
	}
	if o.attempt.ID == uuid.Nil {
		linked, err := s.route(ctx, tx, in.Pipeline, Money{Minor: p.Outstanding, Currency: in.Currency}, acquirer)
		if err != nil {
			return o, err
		}
		if o.attempt, err = s.begin(ctx, tx, in, p, linked); err != nil {
			return o, err
		}
	}
	if err := s.seal(ctx, tx, in); err != nil {
		return o, err
	}
	if o.conn, err = s.connection(ctx, tx, o.attempt.ConnectionID); err != nil {
		return o, err
	}
	linked, err := one(tenants.Row[Linked](ctx, tx, `SELECT `+linkedColumns+` FROM connections WHERE id = $1`, o.attempt.ConnectionID))
	if err == nil {
		o.hook, err = s.HookURL(tx, linked)
	}
	return o, err
}

// spare is how much of a checkout's life must be left to send somebody there.
const spare = time.Minute

// reuse finds the newest attempt for the same amount that the customer can go on with: one whose checkout is open, or one that
// was begun and never reached the acquirer (starting it again is the same order there). It is the newest from now on.
func (s *Service) reuse(ctx context.Context, tx *tenants.Tx, in Invoice, p state.Picture, acquirer string) (Attempt, *Checkout, error) {
	all, err := Attempts(ctx, tx, in.ID)
	if err != nil {
		return Attempt{}, nil, err
	}
	slices.SortFunc(all, newestFirst)
	i := slices.IndexFunc(all, func(a Attempt) bool {
		over := a.Checkout != nil && a.Deadline != nil && a.Deadline.Before(s.Now().Add(spare))
		return a.Status.Live() && !over && a.Minor == p.Outstanding && (acquirer == "" || acquirer == a.Acquirer)
	})
	if i < 0 {
		return Attempt{}, nil, nil
	}
	if i > 0 {
		all[i].Turn = all[0].Turn + 1
		tx.Later(`UPDATE attempts SET turn = $2 WHERE id = $1`, all[i].ID, all[i].Turn)
	}
	if all[i].Checkout == nil {
		return all[i], nil, nil
	}
	clear, err := tx.Open("checkout", all[i].Checkout)
	if err != nil {
		return Attempt{}, nil, err
	}
	s.promiseMoot(tx, in, all)
	var c Checkout
	return all[i], &c, json.Unmarshal(clear, &c)
}

// begin writes the attempt, its first fact, and the promise to ask about it, before anything is sent.
func (s *Service) begin(ctx context.Context, tx *tenants.Tx, in Invoice, p state.Picture, l Linked) (Attempt, error) {
	seq := 1
	for _, a := range p.Attempts {
		seq = max(seq, a.Seq+1)
	}
	id := tenants.NewUUID()
	reference := fmt.Sprintf("%s-%d", in.Number, seq)
	number, err := s.numberOf(ctx, tx, l)
	if err != nil {
		return Attempt{}, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO attempts (tenant_id, id, invoice_id, seq, connection_id, acquirer, reference, order_number, minor, currency, created_at, turn)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce((SELECT max(turn) FROM attempts WHERE invoice_id = $3), 0))`, tx.Tenant().String(), id, in.ID, seq, l.ID, l.Acquirer, reference, number,
		p.Outstanding, in.Currency, s.Now()); err != nil {
		return Attempt{}, fmt.Errorf("begin attempt: %w", err)
	}
	if err := s.record(ctx, tx, in, tenants.Customer, "attempt.started", finding{Fact: state.Fact{Kind: state.Started, At: s.Now(), Attempt: id.String(),
		Seq: seq, Amount: Money{Minor: p.Outstanding, Currency: in.Currency}}, evidence: evidence{Source: "pay_page", RequestID: tenants.RequestOf(ctx)}}); err != nil {
		return Attempt{}, err
	}
	if err := outbox.Make(ctx, tx, outbox.Check, id.String(), s.Now().Add(firstCheck)); err != nil {
		return Attempt{}, err
	}
	if err := s.promiseNight(ctx, tx, l.Acquirer); err != nil {
		return Attempt{}, err
	}
	return attempt(ctx, tx, id)
}

// numberOf takes the next order number of the merchant's range; nil where the acquirer gave none. What is beyond the range is
// left to the provider to refuse.
func (s *Service) numberOf(ctx context.Context, tx *tenants.Tx, l Linked) (*int64, error) {
	p, ok := s.Providers[l.Acquirer].(Ranger)
	if !ok {
		return nil, nil
	}
	c, err := s.connection(ctx, tx, l.ID)
	if err != nil {
		return nil, err
	}
	r, ok := p.Range(c)
	if !ok {
		return nil, nil
	}
	merchant := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", l.Acquirer, r.Merchant, r.First))
	var n int64
	err = tx.QueryRow(ctx, `INSERT INTO ranges AS r (merchant, last) VALUES ($1, $2)
		ON CONFLICT (merchant) DO UPDATE SET last = CASE WHEN $4 AND r.last >= $3 THEN $2 ELSE least(r.last, $3) + 1 END RETURNING last`,
		merchant[:], r.First, r.Last, r.Again).Scan(&n)
	if err != nil {
		return nil, fmt.Errorf("take order number: %w", err)
	}
	return &n, nil
}

// started keeps where the customer was sent, and has pages that were open before closed.
func (s *Service) started(ctx context.Context, id tenants.ID, o opening, c Checkout) error {
	clear, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		in, err := lock(ctx, tx, o.invoice.ID)
		if err != nil {
			return err
		}
		sealed, err := tx.Seal("checkout", clear)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE attempts SET provider_ref = $2, checkout = $3, deadline = $4 WHERE id = $1`,
			o.attempt.ID, c.ProviderRef, sealed, orNull(c.Deadline)); err != nil {
			return err
		}
		if err := s.record(ctx, tx, in, tenants.Acquirer, "attempt.pending", finding{
			Fact:     state.Fact{Kind: state.Observed, At: s.Now(), Attempt: o.attempt.ID.String(), Status: state.Pending},
			evidence: evidence{Source: "checkout", RequestID: tenants.RequestOf(ctx)}}); err != nil {
			return err
		}
		all, err := Attempts(ctx, tx, in.ID)
		if err == nil {
			s.promiseMoot(tx, in, all)
		}
		return err
	})
}

// startLost is how long after its beginning an attempt's page may still be on its way to us: longer than any call lasts.
const startLost = time.Minute

// abandon ends an attempt whose page nobody can find again: the acquirer has the order, its answer to the start was lost,
// and it opens no order twice. The acquirer is asked first, and goes on being asked, because money may come all the same.
// Errors: as Verify.
func (s *Service) abandon(ctx context.Context, id tenants.ID, o opening) error {
	if err := s.Verify(ctx, id, o.attempt.ID, evidence{Source: "status_answer", AskedAfter: "start"}); err != nil {
		return err
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		in, err := lock(ctx, tx, o.invoice.ID)
		if err != nil {
			return err
		}
		a, err := attempt(ctx, tx, o.attempt.ID)
		if err != nil || a.Checkout != nil || a.Status == state.Authorized || !a.Status.Live() {
			return err
		}
		return s.record(ctx, tx, in, tenants.Timer, "attempt.expired", finding{
			Fact:     state.Fact{Kind: state.Observed, At: s.Now(), Attempt: a.ID.String(), Status: state.AttemptExpired},
			evidence: evidence{Source: "checkout", Reason: "the answer to its start was lost, and its page cannot be found again"}})
	})
}

// notStarted keeps what a failed start proves. An unreachable acquirer proves nothing: the same attempt is started
// again when the customer presses again. A refusal ends the attempt without calling it a failed payment.
func (s *Service) notStarted(ctx context.Context, id tenants.ID, o opening, cause error) error {
	if errors.Is(cause, ErrStarted) { // it has the order; perhaps another window is being led to the page
		return errors.Join(ErrBeingChecked, s.Hurry(ctx, id, o.attempt.ID))
	}
	if !errors.Is(cause, ErrRefused) && !errors.Is(cause, ErrCredentials) {
		return cause
	}
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		in, err := lock(ctx, tx, o.invoice.ID)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, in, tenants.Acquirer, "attempt.refused", finding{
			Fact:     state.Fact{Kind: state.Observed, At: s.Now(), Attempt: o.attempt.ID.String(), Status: state.AttemptCancelled},
			evidence: evidence{Source: "checkout", Reason: "the acquirer refused to open it"}})
	})
	return errors.Join(cause, err)
}
