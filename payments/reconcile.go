package payments

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Run is the comparison of acquirer, ledger and CRM for one day and acquirer. It asks again about every attempt of the
// week that ended with the day, because money may have moved since.
type Run struct {
	ID         uuid.UUID     `db:"id"`
	Day        time.Time     `db:"day"` // in the tenant's time zone, as midnight UTC
	Acquirer   string        `db:"acquirer"`
	State      string        `db:"state"` // waiting, running, done
	Total      int           `db:"total"` // attempts to compare
	Checked    int           `db:"checked"`
	Cursor     *uuid.UUID    `db:"cursor"`      // the last attempt that was compared
	Repaired   int           `db:"repaired"`    // attempts of which it learnt something new
	Unanswered int           `db:"unanswered"`  // attempts about which the acquirer could not be asked
	CRMSkipped string        `db:"crm_skipped"` // why the CRM was not compared; a code
	AskedBy    tenants.Actor `db:"asked_by"`
	StartedAt  *time.Time    `db:"started_at"`
	FinishedAt *time.Time    `db:"finished_at"`
	Open       int           `db:"open"` // mismatches that nobody has explained or closed
}

const runColumns = `r.id, r.day, r.acquirer, r.state, r.total, r.checked, r.cursor, r.repaired, r.unanswered, r.crm_skipped, r.asked_by, r.started_at,
	r.finished_at, (SELECT count(*) FROM mismatches m WHERE m.run_id = r.id AND m.state = 'open')::int AS open`

const (
	week    = 7              // days that a run looks back, its own included
	night   = 27 * time.Hour // after a day's beginning: three in the morning of the next
	history = 366 * 24 * time.Hour
)

func runKey(day time.Time, acquirer string) string { return day.Format(time.DateOnly) + "|" + acquirer }

// dueAfter is the night after a day.
func dueAfter(day time.Time, zone *time.Location) time.Time {
	year, month, d := day.Date()
	return time.Date(year, month, d, 0, 0, 0, 0, zone).Add(night)
}

// promiseNight promises the comparison of today.
func (s *Service) promiseNight(ctx context.Context, tx *tenants.Tx, acquirer string) error {
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	today := me.Settings.Day(s.Now())
	return outbox.Make(ctx, tx, outbox.Reconcile, runKey(today, acquirer), dueAfter(today, me.Settings.Zone()))
}

// Reconcile promises the comparison of a day that is over, now. Asking for one that is under way changes nothing.
// Errors: ErrNotFound, ErrRole, Invalid.
func (s *Service) Reconcile(ctx context.Context, id tenants.ID, by By, day time.Time, acquirer string) (Run, error) {
	if err := s.bookkeeper(by, acquirer); err != nil {
		return Run{}, err
	}
	var r Run
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		if err != nil {
			return err
		}
		today := me.Settings.Day(s.Now())
		if !day.Before(today) || day.Before(today.Add(-history)) {
			return invalid("day_unusable", "Choose a day of the last year that is over.")
		}
		if r, err = s.runOf(ctx, tx, day, acquirer, by.Actor); err != nil {
			return err
		}
		if r.State != "running" {
			r.State = "waiting"
			if _, err := tx.Exec(ctx, `UPDATE reconciliations SET state = 'waiting', asked_by = $2 WHERE id = $1`, r.ID, string(by.Actor)); err != nil {
				return err
			}
		}
		if err := outbox.Make(ctx, tx, outbox.Reconcile, runKey(day, acquirer), s.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "reconciliation.asked"},
			map[string]string{"day": day.Format(time.DateOnly), "acquirer": acquirer})
	})
	return r, err
}

// runOf finds the run of a day or makes it.
func (s *Service) runOf(ctx context.Context, tx *tenants.Tx, day time.Time, acquirer string, by tenants.Actor) (Run, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO reconciliations (tenant_id, id, day, acquirer, asked_by) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant_id, day, acquirer) DO NOTHING`, tx.Tenant().String(), tenants.NewUUID(), day, acquirer, string(by)); err != nil {
		return Run{}, fmt.Errorf("make reconciliation: %w", err)
	}
	return tenants.Row[Run](ctx, tx, `SELECT `+runColumns+` FROM reconciliations r WHERE day = $1 AND acquirer = $2 FOR UPDATE`, day, acquirer)
}

// Stretch is what a run compares next.
type Stretch struct {
	Run      Run
	Attempts []Attempt // empty at the end
	Deals    []string  // of these attempts
}

// stretchSize is how many attempts are compared before the CRM is asked about their deals.
const stretchSize = 20

// NextStretch keeps the promise to reconcile, step by step: it begins the run, or goes on where it stopped. Compare every
// attempt of it, and Finish when it is empty. Error: ErrNotFound for a key that is none.
func (s *Service) NextStretch(ctx context.Context, id tenants.ID, key string) (Stretch, error) {
	date, acquirer, _ := strings.Cut(key, "|")
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return Stretch{}, ErrNotFound
	}
	var p Stretch
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		if err != nil {
			return err
		}
		if p.Run, err = s.runOf(ctx, tx, day, acquirer, tenants.Timer); err != nil {
			return err
		}
		if p.Run.State != "running" {
			if p.Run, err = s.begun(ctx, tx, p.Run, me.Settings.Zone()); err != nil {
				return err
			}
		}
		from, to := span(day, me.Settings.Zone())
		p.Attempts, err = tenants.Rows[Attempt](ctx, tx, `SELECT `+attemptColumns+` FROM attempts a WHERE `+within+`
			AND ($6::uuid IS NULL OR id > $6) ORDER BY id LIMIT $7`, acquirer, from, to, day.AddDate(0, 0, 1-week), day, p.Run.Cursor, stretchSize)
		if err != nil || len(p.Attempts) == 0 {
			return err
		}
		var invoices []uuid.UUID
		for _, a := range p.Attempts {
			invoices = append(invoices, a.InvoiceID)
		}
		return tx.QueryRow(ctx, `SELECT array_agg(DISTINCT deal_id) FROM invoices WHERE id = ANY($1)`, invoices).Scan(&p.Deals)
	})
	return p, err
}

// span is the week that ends with a day.
func span(day time.Time, zone *time.Location) (from, to time.Time) {
	year, month, d := day.Date()
	return time.Date(year, month, d+1-week, 0, 0, 0, 0, zone), time.Date(year, month, d+1, 0, 0, 0, 0, zone)
}

// within are the attempts of acquirer $1 that were started from $2 to $3, or captured on the days from $4 to $5.
const within = `acquirer = $1 AND created_at < $3 AND (created_at >= $2
	OR EXISTS (SELECT FROM ledger_entries e WHERE e.attempt_id = a.id AND e.kind = 'capture' AND e.day BETWEEN $4 AND $5))`

// begun starts a run from its beginning, and looks again whose lines of registers are that nobody knew.
func (s *Service) begun(ctx context.Context, tx *tenants.Tx, r Run, zone *time.Location) (Run, error) {
	if _, err := tx.Exec(ctx, `UPDATE register_lines o SET attempt_id = a.id FROM register_lines l `+theirs+`
		WHERE o.register_id = l.register_id AND o.n = l.n AND l.acquirer = $2 AND l.attempt_id IS NULL AND a.id IS NOT NULL AND l.day >= $1`,
		r.Day.AddDate(0, -1, 0), r.Acquirer); err != nil {
		return r, fmt.Errorf("match registers: %w", err)
	}
	from, to := span(r.Day, zone)
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM attempts a WHERE `+within, r.Acquirer, from, to, r.Day.AddDate(0, 0, 1-week), r.Day).Scan(&r.Total); err != nil {
		return r, err
	}
	return tenants.Row[Run](ctx, tx, `UPDATE reconciliations r SET state = 'running', total = $2, checked = 0, cursor = NULL, repaired = 0, unanswered = 0,
		crm_skipped = '', started_at = $3, finished_at = NULL WHERE id = $1 RETURNING `+runColumns, r.ID, r.Total, s.Now())
}

// Finish ends a run: what registers hold and we do not is a mismatch, and while there are attempts of the week left, the
// next night's run is promised.
func (s *Service) Finish(ctx context.Context, id tenants.ID, r Run) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		if err != nil {
			return err
		}
		if err := s.unmatched(ctx, tx, r); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE reconciliations SET state = 'done', finished_at = $2 WHERE id = $1`, r.ID, s.Now()); err != nil {
			return err
		}
		next := r.Day.AddDate(0, 0, 1)
		if r.AskedBy != tenants.Timer && next.Before(me.Settings.Day(s.Now())) {
			return nil // a person looked at the past
		}
		from, to := span(next, me.Settings.Zone())
		var left bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM attempts a WHERE `+within+`)`, r.Acquirer, from, to, next.AddDate(0, 0, 1-week), next).Scan(&left); err != nil || !left {
			return err
		}
		return outbox.Make(ctx, tx, outbox.Reconcile, runKey(next, r.Acquirer), dueAfter(next, me.Settings.Zone()))
	})
}

// SkipCRM notes why a run does not compare the CRM.
func (s *Service) SkipCRM(ctx context.Context, id tenants.ID, run uuid.UUID, code string) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE reconciliations SET crm_skipped = $2 WHERE id = $1`, run, code)
		return err
	})
}

// Runs lists reconciliations, the newest day first. before is the last one of the page before, nil for the first.
func Runs(ctx context.Context, tx *tenants.Tx, before *uuid.UUID, limit int) ([]Run, error) {
	return tenants.Rows[Run](ctx, tx, `SELECT `+runColumns+` FROM reconciliations r
		WHERE $1::uuid IS NULL OR (r.day, r.id) < (SELECT day, id FROM reconciliations WHERE id = $1) ORDER BY r.day DESC, r.id DESC LIMIT $2`, before, limit)
}

// RunOf reads one reconciliation. Error: ErrNotFound.
func RunOf(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (Run, error) {
	return one(tenants.Row[Run](ctx, tx, `SELECT `+runColumns+` FROM reconciliations r WHERE r.id = $1`, id))
}

// Total is what an acquirer's account gained or lost on a run's day, by kind. Amounts are minor units.
type Total struct {
	Kind     string `db:"kind"`
	Currency string `db:"currency"`
	Minor    int64  `db:"minor"`
}

// Totals adds up the ledger of a run's day and acquirer.
func Totals(ctx context.Context, tx *tenants.Tx, r Run) ([]Total, error) {
	return tenants.Rows[Total](ctx, tx, `SELECT kind, currency, sum(minor)::bigint AS minor FROM ledger_entries
		WHERE day = $1 AND account = 'acquirer:' || $2 GROUP BY kind, currency ORDER BY kind, currency`, r.Day, r.Acquirer)
}
