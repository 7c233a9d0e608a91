package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Kinds of mismatches.
const (
	MissingAtAcquirer = "missing_at_acquirer"
	MissingHere       = "missing_here"
	AmountDiffers     = "amount_differs"
	CurrencyDiffers   = "currency_differs"
	RefundDiffers     = "refund_differs"
	ChargebackDiffers = "chargeback_differs"
	StatusDiffers     = "status_differs"
	CRMDiffers        = "crm_differs"
)

// Mismatch is where two of acquirer, register, ledger and CRM disagree. While it is open or explained, the same thing is
// not found again.
type Mismatch struct {
	Run       uuid.UUID  `db:"run_id"`
	N         int        `db:"n"`   // within its run, from 1
	Key       string     `db:"key"` // what it is about
	Kind      string     `db:"kind"`
	AttemptID *uuid.UUID `db:"attempt_id"`
	DealID    string     `db:"deal_id"`
	Reference string     `db:"reference"`
	Ours      string     `db:"ours"`
	Theirs    string     `db:"theirs"`
	Source    string     `db:"source"` // who says otherwise: acquirer, register, crm
	Owner     string     `db:"owner"`  // a role, or who took it on
	State     string     `db:"state"`  // open, explained, closed
	Reason    string     `db:"reason"`
	FoundAt   time.Time  `db:"found_at"`
	ChangedAt *time.Time `db:"changed_at"`
	ChangedBy string     `db:"changed_by"`
}

const mismatchColumns = `run_id, n, key, kind, attempt_id, deal_id, reference, ours, theirs, source, owner, state, reason, found_at, changed_at, changed_by`

// Mismatches lists what a run found, in order, beginning behind number after.
func Mismatches(ctx context.Context, tx *tenants.Tx, run uuid.UUID, after, limit int) ([]Mismatch, error) {
	return tenants.Rows[Mismatch](ctx, tx, `SELECT `+mismatchColumns+` FROM mismatches WHERE run_id = $1 AND n > $2 ORDER BY n LIMIT $3`, run, after, limit)
}

// MismatchFilter chooses mismatches of all runs. State may be empty; Run and N are those of the last one of the page before.
type MismatchFilter struct {
	State string
	Run   uuid.UUID
	N     int
	Limit int
}

// AllMismatches lists what the runs found, the newest run first, in order within it.
func AllMismatches(ctx context.Context, tx *tenants.Tx, f MismatchFilter) ([]Mismatch, error) {
	return tenants.Rows[Mismatch](ctx, tx, `SELECT `+mismatchColumns+` FROM mismatches
		WHERE ($1 = '' OR state = $1) AND ($3 = 0 OR run_id < $2 OR (run_id = $2 AND n > $3)) ORDER BY run_id DESC, n LIMIT $4`, f.State, f.Run, f.N, f.Limit)
}

// Judgement is what a person says of a mismatch.
type Judgement struct {
	State  string // open, explained, closed; or confirmed, which records a chargeback as the register has it and closes
	Reason string
	Owner  string // empty: whoever judges
}

// Judge keeps a person's word on a mismatch. Errors: ErrNotFound, ErrRole, ErrState, Invalid.
func (s *Service) Judge(ctx context.Context, id tenants.ID, by By, run uuid.UUID, n int, j Judgement) (Mismatch, error) {
	switch {
	case !by.Role.Allows(tenants.Accountant):
		return Mismatch{}, ErrRole
	case !slices.Contains([]string{"open", "explained", "closed", "confirmed"}, j.State):
		return Mismatch{}, invalid("state_unknown", "The state must be open, explained, closed or confirmed.")
	case j.State != "open" && strings.TrimSpace(j.Reason) == "":
		return Mismatch{}, invalid("reason_empty", "Say why the difference is in order.")
	case !fit(j.Reason, maxReason) || !fit(j.Owner, 100):
		return Mismatch{}, invalid("reason_unusable", "The reason or the owner is too long, or no text.")
	case j.Owner == "":
		j.Owner = string(by.Actor)
	}
	var m Mismatch
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		const find = `SELECT ` + mismatchColumns + ` FROM mismatches WHERE run_id = $1 AND n = $2`
		next := j.State
		if next == "confirmed" {
			found, err := one(tenants.Row[Mismatch](ctx, tx, find, run, n))
			if err == nil {
				err = s.confirmChargeback(ctx, tx, by, found, j.Reason)
			}
			if err != nil {
				return err
			}
			next = "closed"
		}
		was, err := one(tenants.Row[Mismatch](ctx, tx, find+` FOR UPDATE`, run, n))
		if err != nil {
			return err
		}
		m, err = tenants.Row[Mismatch](ctx, tx, `UPDATE mismatches SET state = $3, reason = $4, owner = $5, changed_at = $6, changed_by = $7
			WHERE run_id = $1 AND n = $2 RETURNING `+mismatchColumns, run, n, next, j.Reason, j.Owner, s.Now(), string(by.Actor))
		if tenants.Conflict(err, "mismatches_one_standing") { // it was found again after it had been closed
			return ErrState
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "mismatch." + j.State, DealID: m.DealID, Before: was.State, After: m.State},
			map[string]any{"run": run, "n": n, "kind": m.Kind, "reason": j.Reason, "owner": j.Owner})
	})
	return m, err
}

// keepMismatches adds what a run found. Where the same stands already, it says what the two sides say now; what was explained
// is open again when they say something else than then.
func keepMismatches(ctx context.Context, tx *tenants.Tx, run uuid.UUID, found []Mismatch) error {
	for _, m := range found {
		if err := reopen(ctx, tx, m); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO mismatches (tenant_id, run_id, n, key, kind, attempt_id, deal_id, reference, ours, theirs, source, owner, state, reason, found_at)
			SELECT $1, $2, (SELECT coalesce(max(n), 0) + 1 FROM mismatches WHERE run_id = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
			ON CONFLICT (tenant_id, key) WHERE state <> 'closed' DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs`, tx.Tenant().String(), run, m.Key, m.Kind, m.AttemptID, m.DealID, m.Reference,
			m.Ours, m.Theirs, m.Source, m.Owner, m.State, m.Reason, m.FoundAt); err != nil {
			return fmt.Errorf("keep mismatch: %w", err)
		}
	}
	return nil
}

// reopen opens an explained mismatch again whose two sides changed since: the words were about another difference.
func reopen(ctx context.Context, tx *tenants.Tx, m Mismatch) error {
	was, err := one(tenants.Row[Mismatch](ctx, tx, `UPDATE mismatches SET state = 'open', changed_at = $4, changed_by = $5
		WHERE key = $1 AND state = 'explained' AND (ours, theirs) <> ($2, $3) RETURNING `+mismatchColumns, m.Key, m.Ours, m.Theirs, m.FoundAt, string(tenants.Timer)))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reopen mismatch: %w", err)
	}
	return tx.Audit(ctx, tenants.Entry{At: m.FoundAt, Actor: tenants.Timer, Action: "mismatch.open", DealID: m.DealID, Before: "explained", After: "open"},
		map[string]any{"run": was.Run, "n": was.N, "kind": m.Kind, "was": was.Theirs, "now": m.Theirs})
}

// closeMismatches closes what is open among these keys and was not found again. What a person explained stays explained.
func (s *Service) closeMismatches(ctx context.Context, tx *tenants.Tx, keys []string, found []Mismatch) error {
	var again []string
	for _, m := range found {
		if m.State == "open" {
			again = append(again, m.Key)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE mismatches SET state = 'closed', reason = 'It no longer differs.', changed_at = $3, changed_by = 'timer'
		WHERE state = 'open' AND key = ANY($1) AND key <> ALL(coalesce($2, '{}'::text[]))`, keys, again, s.Now())
	return err
}

// mismatchKinds are all kinds about an attempt.
var mismatchKinds = []string{MissingAtAcquirer, MissingHere, AmountDiffers, CurrencyDiffers, RefundDiffers, ChargebackDiffers, StatusDiffers}

// keepFound writes down what was found about an attempt. asked says whether the acquirer answered; what it said earlier stands
// otherwise.
func (s *Service) keepFound(ctx context.Context, tx *tenants.Tx, r Run, c comparison, asked bool) error {
	var keys []string
	for _, source := range []string{"acquirer", "register"} {
		for _, kind := range mismatchKinds {
			if source == "register" || asked {
				keys = append(keys, mismatchKey(source, kind, c.attempt.ID.String()))
			}
		}
	}
	if err := s.closeMismatches(ctx, tx, keys, c.found); err != nil {
		return err
	}
	return keepMismatches(ctx, tx, r.ID, c.found)
}

func mismatchKey(source, kind, about string) string { return source + ":" + kind + ":" + about }

// unmatched makes a mismatch of every line of a register that no attempt of ours explains, and closes those that were
// explained meanwhile.
func (s *Service) unmatched(ctx context.Context, tx *tenants.Tx, r Run) error {
	lines, err := tenants.Rows[struct {
		Key       string `db:"key"`
		Reference string `db:"reference"`
		Kind      string `db:"kind"`
		Currency  string `db:"currency"`
		Minor     int64  `db:"minor"`
		Matched   bool   `db:"matched"`
	}](ctx, tx, `SELECT register_id || '/' || n AS key, coalesce(nullif(reference, ''), provider_ref) AS reference, kind, currency, minor,
			attempt_id IS NOT NULL AS matched
		FROM register_lines WHERE acquirer = $1 AND day BETWEEN $2 AND $3 AND kind IN ('payment', 'refund', 'chargeback') ORDER BY register_id, n`,
		r.Acquirer, r.Day.AddDate(0, 0, 1-week), r.Day)
	if err != nil {
		return err
	}
	var matched []string
	var found []Mismatch
	for _, l := range lines {
		key := mismatchKey("register", MissingHere, l.Key)
		if l.Matched {
			matched = append(matched, key)
			continue
		}
		found = append(found, Mismatch{Key: key, Kind: MissingHere, Reference: l.Reference, Source: "register", Owner: string(tenants.Accountant),
			Theirs: l.Kind + " " + Money{Minor: l.Minor, Currency: l.Currency}.String(), State: "open", FoundAt: s.Now()})
	}
	if err := s.closeMismatches(ctx, tx, matched, nil); err != nil {
		return err
	}
	return keepMismatches(ctx, tx, r.ID, found)
}

// Differs is a deal whose CRM card does not hold what the payments say. What is empty is not known.
type Differs struct{ Deal, Ours, Theirs string }

// CompareCRM keeps what was found about these deals in the CRM: those that differ, and by their absence those that do not.
func (s *Service) CompareCRM(ctx context.Context, id tenants.ID, r Run, deals []string, differ []Differs) error {
	keys := make([]string, len(deals))
	for i, deal := range deals {
		keys[i] = mismatchKey("crm", CRMDiffers, deal)
	}
	var found []Mismatch
	for _, d := range differ {
		found = append(found, Mismatch{Key: mismatchKey("crm", CRMDiffers, d.Deal), Kind: CRMDiffers, DealID: d.Deal, Ours: d.Ours, Theirs: d.Theirs,
			Source: "crm", Owner: string(tenants.Admin), State: "open", FoundAt: s.Now()})
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := s.closeMismatches(ctx, tx, keys, found); err != nil {
			return err
		}
		return keepMismatches(ctx, tx, r.ID, found)
	})
}
