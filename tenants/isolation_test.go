package tenants_test

import (
	"context"
	"slices"
	"testing"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// samples fill one row of every table, in the order that foreign keys ask for; $1 is the tenant.
var samples = []struct{ table, insert string }{
	{"tenants", `INSERT INTO tenants (tenant_id, crm, account_key, domain) VALUES ($1, 'kommo', 'k', 'd')`},
	{"crm_tokens", `INSERT INTO crm_tokens (tenant_id, access, refresh, expires_at, endpoint) VALUES ($1, 'a', 'r', now(), 'e')`},
	{"api_keys", `INSERT INTO api_keys (tenant_id, id, name, role, hint, created_by) VALUES ($1, gen_random_uuid(), 'n', 'admin', 'h', 'c')`},
	{"audit", `INSERT INTO audit (tenant_id, actor, action) VALUES ($1, 'timer', 'a')`},
	{"idempotency", `INSERT INTO idempotency (tenant_id, key, body_hash, ref) VALUES ($1, 'k', 'h', 'r')`},
	{"connections", `INSERT INTO connections (tenant_id, id, acquirer, credentials, hook_key) VALUES ($1, $1, 'arca', 'c', 'h')`},
	{"invoices", `INSERT INTO invoices (tenant_id, id, number, deal_id, minor, currency, purpose, outstanding, expires_at, created_by)
		VALUES ($1, $1, 'n', '1', 100, 'AMD', 'p', 100, now(), 'c')`},
	{"links", `INSERT INTO links (tenant_id, id, invoice_id, token) VALUES ($1, $1, $1, 't')`},
	{"sends", `INSERT INTO sends (tenant_id, id, invoice_id, channel, sent_by) VALUES ($1, $1, $1, 'copy', 's')`},
	{"attempts", `INSERT INTO attempts (tenant_id, id, invoice_id, seq, connection_id, acquirer, reference, minor, currency)
		VALUES ($1, $1, $1, 1, $1, 'arca', 'r', 100, 'AMD')`},
	{"notices", `INSERT INTO notices (tenant_id, id, connection_id, key, authentic, raw, received_at) VALUES ($1, $1, $1, 'k', true, 'r', now())`},
	{"facts", `INSERT INTO facts (tenant_id, invoice_id, kind, at, dedupe) VALUES ($1, $1, 'k', now(), 'd')`},
	{"refunds", `INSERT INTO refunds (tenant_id, id, invoice_id, attempt_id, minor, currency, reason, asked_by) VALUES ($1, $1, $1, $1, 1, 'AMD', 'r', 'a')`},
	{"exceptions", `INSERT INTO exceptions (tenant_id, id, kind, key, opened_at) VALUES ($1, $1, 'k', 'k', now())`},
	{"outbox", `INSERT INTO outbox (tenant_id, kind, key, due_at) VALUES ($1, 'push', '1', now())`},
	{"effects", `INSERT INTO effects (tenant_id, key, deal_id, kind, reference, body) VALUES ($1, 'k', '1', 'note', 'r', '{}')`},
	{"deal_sync", `INSERT INTO deal_sync (tenant_id, deal_id) VALUES ($1, '1')`},
	{"lanes", `INSERT INTO lanes (tenant_id) VALUES ($1)`},
	{"people", `INSERT INTO people (tenant_id, user_id, name, chief, seen_at) VALUES ($1, '1', 'a', false, now())`},
	{"periods", `INSERT INTO periods (tenant_id, month, locked_at, locked_by) VALUES ($1, '2000-01-01', now(), 'a')`},
	{"ledger_entries", `INSERT INTO ledger_entries (tenant_id, txn, line, at, day, kind, account, currency, minor, actor)
		VALUES ($1, $1, 1, now(), now(), 'capture', 'cash', 'AMD', 5, 'a'), ($1, $1, 2, now(), now(), 'capture', 'receivable', 'AMD', -5, 'a')`},
	{"register_mappings", `INSERT INTO register_mappings (tenant_id, acquirer, mapping, updated_by, updated_at) VALUES ($1, 'arca', '{}', 'a', now())`},
	{"registers", `INSERT INTO registers (tenant_id, id, acquirer, hash, imported_by, imported_at) VALUES ($1, $1, 'arca', sha256('r'), 'a', now())`},
	{"register_lines", `INSERT INTO register_lines (tenant_id, register_id, n, acquirer, kind, day, currency, minor, dedupe)
		VALUES ($1, $1, 1, 'arca', 'payment', now(), 'AMD', 5, 'd')`},
	{"reconciliations", `INSERT INTO reconciliations (tenant_id, id, day, acquirer, asked_by) VALUES ($1, $1, now(), 'arca', 'a')`},
	{"mailboxes", `INSERT INTO mailboxes (tenant_id, host, port, security, sender, checked_at) VALUES ($1, 'h', 465, 'tls', 's', now())`},
	{"fiscal_receipts", `INSERT INTO fiscal_receipts (tenant_id, id, invoice_id, payment, number, kind, state, noted_by, noted_at)
		VALUES ($1, $1, $1, $1, '1', 'final', 'issued', 'a', now())`},
	{"robot_calls", `INSERT INTO robot_calls (tenant_id, id, token_hash, code, deal_id, asked, asked_at) VALUES ($1, $1, sha256('t'), 'c', '1', 'a', now())`},
	{"mismatches", `INSERT INTO mismatches (tenant_id, run_id, n, key, kind, source, owner, found_at) VALUES ($1, $1, 1, 'k', 'missing_here', 'register', 'accountant', now())`},
}

// history are the tables that only grow.
var history = []string{"audit", "facts", "ledger_entries", "fiscal_receipts"}

// as runs fn in a transaction of a role, bound to a tenant or, with nil, to nobody.
func as(t *testing.T, f *tenantstest.Fixture, role string, id *tenants.ID, fn func(ctx context.Context, tx pgx.Tx)) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, f.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	if role != "" {
		_, err = conn.Exec(ctx, "SET ROLE "+role)
		require.NoError(t, err)
	}
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	if id != nil {
		_, err = tx.Exec(ctx, `SELECT set_config('app.tenant_id', $1, true)`, id.String())
		require.NoError(t, err)
	}
	fn(ctx, tx)
}

// denied requires that sql fails with this SQLSTATE and leaves tx usable.
func denied(t *testing.T, ctx context.Context, tx pgx.Tx, code, sql string, args ...any) {
	t.Helper()
	nested, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, err = nested.Exec(ctx, sql, args...)
	require.NoError(t, nested.Rollback(ctx))
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg, sql)
	require.Equal(t, code, pg.Code, "%s: %s", sql, pg.Message)
}

const (
	insufficientPrivilege = "42501" // also what a policy answers
	integrityViolation    = "23000"
)

// filled is a database in which tenant A has a row everywhere and tenant B exists.
func filled(t *testing.T) (f *tenantstest.Fixture, a, b tenants.ID) {
	f = tenantstest.DB(t)
	a, b = tenantstest.Tenant(t, f, "bitrix24", "a"), tenantstest.Tenant(t, f, "bitrix24", "b")
	require.NoError(t, f.DB.In(t.Context(), a, func(ctx context.Context, tx *tenants.Tx) error {
		for _, s := range samples[1:] {
			if _, err := tx.Exec(ctx, s.insert, a.String()); err != nil {
				return err
			}
		}
		return nil
	}))
	return f, a, b
}

func TestNoTenantReachesAnother(t *testing.T) {
	f, a, b := filled(t)
	for _, role := range []string{"dealpay_app", ""} { // the owner is bound too
		as(t, f, role, &b, func(ctx context.Context, tx pgx.Tx) {
			for _, s := range samples {
				var seen int
				require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM `+s.table+` WHERE tenant_id = $1`, a.String()).Scan(&seen))
				require.Zero(t, seen, s.table)
				denied(t, ctx, tx, insufficientPrivilege, s.insert, a.String())
				if slices.Contains(history, s.table) {
					continue
				}
				tag, err := tx.Exec(ctx, `UPDATE `+s.table+` SET tenant_id = tenant_id WHERE tenant_id = $1`, a.String())
				require.NoError(t, err)
				require.Zero(t, tag.RowsAffected(), s.table)
			}
		})
	}
	as(t, f, "dealpay_app", &a, func(ctx context.Context, tx pgx.Tx) {
		for _, s := range samples {
			var seen int
			require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM `+s.table).Scan(&seen))
			require.Positive(t, seen, s.table)
			denied(t, ctx, tx, insufficientPrivilege, `UPDATE `+s.table+` SET tenant_id = $1`, b.String())
			denied(t, ctx, tx, insufficientPrivilege, `DELETE FROM `+s.table)
		}
	})
}

func TestNobodySeesNothing(t *testing.T) {
	f, a, _ := filled(t)
	for _, role := range []string{"dealpay_app", ""} {
		as(t, f, role, nil, func(ctx context.Context, tx pgx.Tx) {
			for _, s := range samples {
				var seen int
				require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM `+s.table).Scan(&seen))
				require.Zero(t, seen, s.table)
				denied(t, ctx, tx, insufficientPrivilege, s.insert, a.String())
			}
		})
	}
	err := f.DB.In(t.Context(), tenants.ID{}, func(context.Context, *tenants.Tx) error { panic("never called") })
	require.ErrorIs(t, err, tenants.ErrNobody)
}

func TestEveryTableHasASample(t *testing.T) {
	known := map[string]bool{}
	for _, s := range samples {
		known[s.table] = true
	}
	as(t, tenantstest.DB(t), "", nil, func(ctx context.Context, tx pgx.Tx) {
		rows, err := tx.Query(ctx, `SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'`)
		require.NoError(t, err)
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, table := range tables {
			require.True(t, known[table], "isolation of %s is not tested: add a sample", table)
		}
	})
}

func TestTheTenantLeavesWithItsTransaction(t *testing.T) {
	f, a, _ := filled(t)
	as(t, f, "dealpay_app", &a, func(ctx context.Context, tx pgx.Tx) {
		require.NoError(t, tx.Commit(ctx))
		var seen int
		require.NoError(t, tx.Conn().QueryRow(ctx, `SELECT count(*) FROM invoices`).Scan(&seen))
		require.Zero(t, seen)
	})
}

func TestTheRelaySeesOnlyDueTimes(t *testing.T) {
	f, _, _ := filled(t)
	as(t, f, "dealpay_relay", nil, func(ctx context.Context, tx pgx.Tx) {
		var seen int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(id) FROM outbox WHERE due_at <= now()`).Scan(&seen))
		require.Equal(t, 1, seen)
		for _, sql := range []string{`SELECT key FROM outbox`, `SELECT last_error FROM outbox`, `SELECT * FROM outbox`, `UPDATE outbox SET due_at = now()`,
			`DELETE FROM outbox`, `INSERT INTO outbox (tenant_id, kind, key, due_at) VALUES (gen_random_uuid(), 'k', 'k', now())`,
			`SELECT FROM doors`, `SELECT FROM spent`} {
			denied(t, ctx, tx, insufficientPrivilege, sql)
		}
		for _, s := range samples {
			if s.table != "outbox" {
				denied(t, ctx, tx, insufficientPrivilege, `SELECT FROM `+s.table)
			}
		}
	})
}

func TestHistoryIsAppendOnly(t *testing.T) {
	f, a, _ := filled(t)
	as(t, f, "", &a, func(ctx context.Context, tx pgx.Tx) { // even for the owner
		for _, table := range history {
			for _, sql := range []string{"UPDATE " + table + " SET tenant_id = tenant_id", "DELETE FROM " + table, "TRUNCATE " + table} {
				denied(t, ctx, tx, integrityViolation, sql)
			}
		}
	})
}
