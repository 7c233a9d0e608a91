package payments

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/register"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// SaveMapping keeps how an acquirer's registers are read. Errors: ErrNotFound, ErrRole, Invalid.
func (s *Service) SaveMapping(ctx context.Context, id tenants.ID, by By, acquirer string, m register.Mapping) error {
	if err := s.bookkeeper(by, acquirer); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return unreadable("mapping_unusable", err)
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO register_mappings (tenant_id, acquirer, mapping, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant_id, acquirer) DO UPDATE SET mapping = excluded.mapping, updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
			tx.Tenant().String(), acquirer, m, string(by.Actor), s.Now()); err != nil {
			return fmt.Errorf("keep mapping: %w", err)
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "register.mapped"}, map[string]any{"acquirer": acquirer, "mapping": m})
	})
}

// MappingOf reads how an acquirer's registers are read. Error: ErrNotFound when nobody has said so.
func MappingOf(ctx context.Context, tx *tenants.Tx, acquirer string) (m register.Mapping, err error) {
	return one(m, tx.QueryRow(ctx, `SELECT mapping FROM register_mappings WHERE acquirer = $1`, acquirer).Scan(&m))
}

// bookkeeper refuses people who may not work on the books, and acquirers that are none.
func (s *Service) bookkeeper(by By, acquirer string) error {
	if !by.Role.Allows(tenants.Accountant) {
		return ErrRole
	}
	if _, ok := s.Providers[acquirer]; !ok {
		return ErrNotFound
	}
	return nil
}

// unreadable turns what a register's reader says into an answer for people.
func unreadable(code string, err error) error {
	var e *register.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.N == 0:
		return invalid(code, "%s", e.Detail)
	}
	return invalid(code, "Line %d: %s", e.N, e.Detail)
}

// Register is one imported file.
type Register struct {
	ID         uuid.UUID        `db:"id"`
	Acquirer   string           `db:"acquirer"`
	Lines      int              `db:"lines"`     // new ones
	Known      int              `db:"known"`     // that an earlier register held
	Unmatched  int              `db:"unmatched"` // of the new ones: money that no attempt of ours explains
	Skipped    register.Skipped `db:"skipped"`   // of kinds that the mapping does not name
	FirstDay   *time.Time       `db:"first_day"` // of settlement
	LastDay    *time.Time       `db:"last_day"`
	ImportedBy tenants.Actor    `db:"imported_by"`
	ImportedAt time.Time        `db:"imported_at"`
}

const registerColumns = `id, acquirer, lines, known, unmatched, skipped, first_day, last_day, imported_by, imported_at`

// Registers lists imports, the newest first. before is the last one of the page before, nil for the first.
func Registers(ctx context.Context, tx *tenants.Tx, before *uuid.UUID, limit int) ([]Register, error) {
	return tenants.Rows[Register](ctx, tx, `SELECT `+registerColumns+` FROM registers WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2`, before, limit)
}

// maxLines bounds one register.
const maxLines = 20_000

// Import reads a register by the acquirer's mapping, the whole of it or nothing. What an earlier one held already is left
// out; importing the same file again returns the first import, unless the mapping now names lines that it left out. Fees and payouts are posted to the ledger on the day of
// settlement, or in the first open month; payments and refunds are only compared with ours. Errors: ErrNotFound, ErrRole,
// Invalid.
func (s *Service) Import(ctx context.Context, id tenants.ID, by By, acquirer string, file []byte) (Register, error) {
	if err := s.bookkeeper(by, acquirer); err != nil {
		return Register{}, err
	}
	hash := sha256.Sum256(file)
	var done Register
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := alone(ctx, tx); err != nil {
			return err
		}
		var err error
		done, err = tenants.Row[Register](ctx, tx, `SELECT `+registerColumns+` FROM registers WHERE acquirer = $1 AND hash = $2`, acquirer, hash[:])
		again := err == nil
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		m, err := MappingOf(ctx, tx, acquirer)
		if again && (err != nil || !m.Names(done.Skipped)) {
			return err
		}
		if errors.Is(err, ErrNotFound) {
			return invalid("mapping_missing", "Say first which columns the registers of %s have.", acquirer)
		}
		if err != nil {
			return err
		}
		i := &importing{register: tenants.NewUUID(), acquirer: acquirer, by: by.Actor, now: s.Now(), seen: map[string]int{}}
		if again {
			i.register = done.ID
		} else if _, err := tx.Exec(ctx, `INSERT INTO registers (tenant_id, id, acquirer, hash, imported_by, imported_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			tx.Tenant().String(), i.register, acquirer, hash[:], string(by.Actor), s.Now()); err != nil {
			return err
		}
		if err := i.read(ctx, tx, file, m); err != nil {
			return err
		}
		done, err = i.close(ctx, tx)
		return err
	})
	return done, err
}

// importing is a register on its way in.
type importing struct {
	register uuid.UUID
	acquirer string
	by       tenants.Actor
	now      time.Time
	seen     map[string]int // how often a line like this came in this file
	total    int
	skipped  register.Skipped
}

func (i *importing) read(ctx context.Context, tx *tenants.Tx, file []byte, m register.Mapping) error {
	var lines []register.Line
	skipped, err := register.Read(bytes.NewReader(file), m, func(l register.Line) error {
		if lines = append(lines, l); len(lines) > maxLines {
			return invalid("register_too_long", "A register holds %d lines at most. Split it.", maxLines)
		}
		return nil
	})
	if err != nil {
		return unreadable("register_unreadable", err)
	}
	i.skipped = skipped
	if i.total = len(lines); i.total == 0 {
		return invalid("register_empty", "The file has no line that the mapping understands.")
	}
	for part := range slices.Chunk(lines, 1000) { // only what can be read to its end costs the database anything
		if err := i.keep(ctx, tx, part); err != nil {
			return err
		}
	}
	return nil
}

// theirs finds the attempt that a line l of a register of acquirer $2 is about: by our order number, as text or as an
// integer, or by the acquirer's reference.
const theirs = `LEFT JOIN LATERAL (
		SELECT a.id, a.invoice_id FROM attempts a JOIN connections c ON c.id = a.connection_id
			WHERE c.acquirer = $2 AND l.reference <> '' AND a.reference = l.reference
		UNION ALL SELECT a.id, a.invoice_id FROM attempts a JOIN connections c ON c.id = a.connection_id
			WHERE c.acquirer = $2 AND l.provider_ref <> '' AND a.provider_ref = l.provider_ref
		UNION ALL SELECT a.id, a.invoice_id FROM attempts a
			WHERE a.acquirer = $2 AND a.order_number = CASE WHEN l.reference ~ '^[0-9]{1,18}$' THEN l.reference::bigint END
		UNION ALL SELECT a.id, a.invoice_id FROM attempts a
			WHERE a.acquirer = $2 AND a.order_number IS NULL AND a.number = CASE WHEN l.reference ~ '^[0-9]{1,18}$' THEN l.reference::bigint END
		LIMIT 1) a ON l.kind IN ('payment', 'refund', 'chargeback')`

// kept is a line that no earlier register held.
type kept struct {
	N       int        `db:"n"`
	Attempt *uuid.UUID `db:"attempt_id"`
	Invoice *uuid.UUID `db:"invoice_id"`
	Deal    string     `db:"deal_id"`
}

func (i *importing) keep(ctx context.Context, tx *tenants.Tx, lines []register.Line) error {
	var ns []int
	var kinds, refs, provider, currencies, keys []string
	var days []time.Time
	var minors, fees []int64
	byLine := map[int]register.Line{}
	for _, l := range lines {
		like := fmt.Sprintf("%s|%s|%s|%s|%s|%d|%d", l.Kind, l.Reference, l.ProviderRef, l.Day.Format(time.DateOnly), l.Currency, l.Minor, l.Fee)
		i.seen[like]++
		ns, kinds, refs, provider = append(ns, l.N), append(kinds, string(l.Kind)), append(refs, l.Reference), append(provider, l.ProviderRef)
		days, currencies, keys = append(days, l.Day), append(currencies, l.Currency), append(keys, fmt.Sprintf("%s|%d", like, i.seen[like]))
		minors, fees = append(minors, l.Minor), append(fees, l.Fee)
		byLine[l.N] = l
	}
	fresh, err := tenants.Rows[kept](ctx, tx, `WITH added AS (
			INSERT INTO register_lines (tenant_id, register_id, n, acquirer, kind, reference, provider_ref, attempt_id, day, currency, minor, fee, dedupe)
			SELECT $1, $3, l.n, $2, l.kind, l.reference, l.provider_ref, a.id, l.day, l.currency, l.minor, l.fee, l.key
			FROM unnest($4::int[], $5::text[], $6::text[], $7::text[], $8::date[], $9::text[], $10::bigint[], $11::bigint[], $12::text[])
				AS l(n, kind, reference, provider_ref, day, currency, minor, fee, key) `+theirs+`
			ON CONFLICT DO NOTHING RETURNING n, attempt_id)
		SELECT l.n, l.attempt_id, a.invoice_id, coalesce(i.deal_id, '') AS deal_id FROM added l LEFT JOIN attempts a ON a.id = l.attempt_id
			LEFT JOIN invoices i ON i.id = a.invoice_id ORDER BY l.n`,
		tx.Tenant().String(), i.acquirer, i.register, ns, kinds, refs, provider, days, currencies, minors, fees, keys)
	if err != nil {
		return fmt.Errorf("keep register: %w", err)
	}
	p := posting{by: i.by, now: i.now}
	for _, k := range fresh {
		i.post(&p, k, byLine[k.N])
	}
	p.write(tx)
	return nil
}

// post adds what a line says beside payments: what the acquirer kept, and what it paid out.
func (i *importing) post(p *posting, k kept, l register.Line) {
	p.invoice, p.deal, p.day, p.ref = k.Invoice, k.Deal, l.Day, fmt.Sprintf("%s/%d", i.register, l.N)
	attempt := ""
	if k.Attempt != nil {
		attempt = k.Attempt.String()
	}
	holder := ledger.AcquirerOf(i.acquirer)
	p.add(ledger.Move(ledger.Fee, attempt, Money{Minor: l.Fee, Currency: l.Currency}, ledger.Fees, holder))
	if l.Kind == register.Payout {
		p.add(ledger.Move(ledger.Payout, "", Money{Minor: l.Minor, Currency: l.Currency}, ledger.Bank, holder))
	}
}

func (i *importing) close(ctx context.Context, tx *tenants.Tx) (Register, error) {
	done, err := tenants.Row[Register](ctx, tx, `UPDATE registers r SET lines = l.lines, known = $2 - l.lines, unmatched = l.unmatched,
			first_day = l.first_day, last_day = l.last_day, skipped = $3
		FROM (SELECT count(*)::int AS lines, count(*) FILTER (WHERE attempt_id IS NULL AND kind IN ('payment', 'refund', 'chargeback'))::int AS unmatched,
			min(day) AS first_day, max(day) AS last_day FROM register_lines WHERE register_id = $1) l
		WHERE r.id = $1 RETURNING r.id, r.acquirer, r.lines, r.known, r.unmatched, r.skipped, r.first_day, r.last_day, r.imported_by, r.imported_at`,
		i.register, i.total, i.skipped)
	if err != nil {
		return done, fmt.Errorf("close register: %w", err)
	}
	return done, tx.Audit(ctx, tenants.Entry{At: i.now, Actor: i.by, Action: "register.imported"}, map[string]any{"register": i.register,
		"acquirer": i.acquirer, "lines": done.Lines, "known": done.Known, "unmatched": done.Unmatched, "skipped": done.Skipped.Total()})
}
