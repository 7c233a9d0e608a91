package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Kinds of exceptions that come from what the acquirer or the bank does after the customer has left.
const (
	NeverCaptured = "never_captured"   // money is held longer than holds usually live, and was not taken
	ReversedByOne = "reversed_by_bank" // the bank undid a whole payment, and we had not asked for it
	DisputeOpen   = "dispute_opened"   // a chargeback waits for the merchant's answer
	DisputeLost   = "dispute_lost"     // a chargeback took the money back
	NeverAnswered = "never_answered"   // the customer came back from the acquirer's page, and it never said how that ended
	AnswerUnclear = "answer_unclear"   // the acquirer says of a payment what nobody has told us how to read
	RefundFailed  = "refund_failed"    // a refund came to nothing, perhaps after the acquirer had called it done
)

// A hold's usual life, after which banks let the money go (card schemes: about a week), and how long a hold is still
// asked about after that.
const (
	holdLife    = 7 * 24 * time.Hour
	holdWatched = 30 * 24 * time.Hour
)

// watchHold opens an exception for money that is held and was not captured within a hold's usual life.
func (s *Service) watchHold(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt) error {
	if a.Status != state.Authorized {
		return nil
	}
	var since time.Time
	if err := tx.QueryRow(ctx, `UPDATE attempts SET held_at = coalesce(held_at, $2) WHERE id = $1 RETURNING held_at`, a.ID, s.Now()).Scan(&since); err != nil {
		return fmt.Errorf("note the hold: %w", err)
	}
	if s.Now().Sub(since) < holdLife {
		return nil
	}
	_, err := s.raiseOnce(ctx, tx, NeverCaptured, in, a)
	return err
}

// raiseOnce opens an exception about an attempt, unless there ever was one: a person may have dismissed it.
func (s *Service) raiseOnce(ctx context.Context, tx *tenants.Tx, kind string, in Invoice, a Attempt) (first bool, err error) {
	key := kind + ":" + a.ID.String()
	err = tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM exceptions WHERE key = $1)`, key).Scan(&first)
	if err != nil || !first {
		return false, err
	}
	return true, Raise(ctx, tx, Exception{Kind: kind, Key: key, DealID: in.DealID, InvoiceID: &in.ID, AttemptID: &a.ID,
		Minor: a.Minor, Currency: a.Currency, Reference: a.ProviderRef, OpenedAt: s.Now()}, in.Number)
}

// unclear has a person look at an answer that cannot be read, and keeps it. The attempt stays what it was; the exception ends
// with an answer that tells something new.
func (s *Service) unclear(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt, seen Observation) error {
	first, err := s.raiseOnce(ctx, tx, AnswerUnclear, in, a)
	if err != nil || !first {
		return err
	}
	because := evidence{Source: "status_answer", Code: seen.Code, RequestID: tenants.RequestOf(ctx)}
	if json.Valid(seen.Raw) {
		because.Answer = seen.Raw
	}
	return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "answer.unclear", DealID: in.DealID, Invoice: &in.ID,
		Before: string(in.Status), After: string(in.Status)}, because)
}

// alarms opens and closes the exceptions that no review is: holds that ended, payments that the bank undid, disputes.
func (c change) alarms(ctx context.Context, tx *tenants.Tx) error {
	for _, a := range c.after.Attempts {
		was := c.earlier(a.ID)
		if a.Status != was.Status && was.Status != "" && c.by != tenants.Timer { // our own clock is no answer
			if err := SettleAll(ctx, tx, []string{AnswerUnclear + ":" + a.ID, NeverAnswered + ":" + a.ID}, c.by, "", c.now); err != nil {
				return err
			}
		}
		if was.Status == state.Authorized && a.Status != state.Authorized {
			if err := Settle(ctx, tx, NeverCaptured+":"+a.ID, c.by, "", c.now); err != nil {
				return err
			}
		}
		if a.Voided && !was.Voided {
			if err := c.undone(ctx, tx, a); err != nil {
				return err
			}
		}
	}
	known := map[string]state.FactKind{}
	for _, d := range c.before.Disputes {
		known[d.Attempt+":"+d.Ref] = d.Status
	}
	for _, d := range c.after.Disputes {
		if key := d.Attempt + ":" + d.Ref; known[key] != d.Status {
			if err := c.disputed(ctx, tx, d, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// undone opens an exception for a payment that was undone, unless a refund of ours did it: some acquirers reverse a whole
// payment when it is refunded on its day.
func (c change) undone(ctx context.Context, tx *tenants.Tx, a state.AttemptPicture) error {
	var ours bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM refunds WHERE attempt_id = $1 AND method = 'api' AND status IN ('sending', 'unknown', 'done'))`,
		a.ID).Scan(&ours); err != nil || ours {
		return err
	}
	return c.raise(ctx, tx, ReversedByOne, ReversedByOne+":"+a.ID, a.ID, a.Captured)
}

// decided says whether a dispute ended: its own note tells that.
func (c change) decided() bool {
	ended := func(p state.Picture) (n int) {
		for _, d := range p.Disputes {
			if d.Status != state.DisputeOpened {
				n++
			}
		}
		return n
	}
	return ended(c.after) > ended(c.before)
}

func (c change) disputed(ctx context.Context, tx *tenants.Tx, d state.DisputePicture, key string) error {
	switch d.Status {
	case state.DisputeOpened:
		return c.raise(ctx, tx, DisputeOpen, DisputeOpen+":"+key, d.Attempt, d.Amount)
	case state.DisputeWon:
		if err := c.note(ctx, tx, "dispute_won", "dispute_won:"+key, d.Attempt, d.Amount); err != nil {
			return err
		}
	case state.DisputeLost:
		if err := c.note(ctx, tx, "dispute_lost", "dispute_lost:"+key, d.Attempt, d.Amount); err != nil {
			return err
		}
		if err := c.raise(ctx, tx, DisputeLost, DisputeLost+":"+key, d.Attempt, d.Amount); err != nil {
			return err
		}
	}
	return Settle(ctx, tx, DisputeOpen+":"+key, c.by, string(d.Status), c.now)
}

// failedRefunds opens an exception for each refund that came to nothing: somebody waits for that money. What we had asked for
// ends as refused, also when it had been done.
func (c change) failedRefunds(ctx context.Context, tx *tenants.Tx, fresh []finding) error {
	for _, f := range fresh {
		if f.Kind != state.RefundFailed {
			continue
		}
		tag, err := tx.Exec(ctx, `UPDATE refunds SET status = 'refused' WHERE id::text = $1 AND status IN ('sending', 'unknown', 'done')`, f.Ref)
		if err != nil {
			return fmt.Errorf("end the refund that failed: %w", err)
		}
		if tag.RowsAffected() > 0 {
			if err := Settle(ctx, tx, RefundUnknown+":"+f.Ref, c.by, "refused", c.now); err != nil {
				return err
			}
		}
		if err := c.raise(ctx, tx, RefundFailed, RefundFailed+":"+f.Attempt+":"+f.Ref, f.Attempt, f.Amount); err != nil {
			return err
		}
	}
	return nil
}

// raise opens an exception about money of an attempt.
func (c change) raise(ctx context.Context, tx *tenants.Tx, kind, key, attempt string, amount Money) error {
	var reference string
	if err := tx.QueryRow(ctx, `SELECT provider_ref FROM attempts WHERE id = $1`, attempt).Scan(&reference); err != nil {
		return err
	}
	id := uuid.MustParse(attempt)
	return Raise(ctx, tx, Exception{Kind: kind, Key: key, DealID: c.in.DealID, InvoiceID: &c.in.ID, AttemptID: &id, Minor: amount.Minor,
		Currency: amount.Currency, Reference: reference, OpenedAt: c.now}, c.in.Number)
}
