package migrations_test

import (
	"strings"
	"testing"

	"github.com/dealpay/dealpay/migrations"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// open lists the tables that belong to no single tenant, and why they may.
var open = map[string]string{
	"doors":            "turns something foreign, hashed, into a tenant",
	"spent":            "hashes of one-time tokens that were used",
	"ranges":           "how far a merchant's order numbers at an acquirer are used, the merchant hashed",
	"goose_db_version": "which migrations were applied",
}

func catalogue[T any](t *testing.T, url, sql string) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), sql)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	require.NoError(t, err)
	return found
}

// strays lists what breaks the rules for tables of tenants: row-level security, and keys that begin with the tenant.
func strays(t *testing.T, url string) (found []string) {
	t.Helper()
	type stray struct{ What string }
	for _, sql := range []string{
		// A policy for everybody and every command, reading and writing, and no other for everybody.
		`SELECT c.relname || ' is not of one tenant' AS what FROM pg_class c
			WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT (c.relrowsecurity AND c.relforcerowsecurity
				AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull)
				AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polroles = '{0}' AND p.polpermissive
					AND pg_get_expr(p.polqual, c.oid) = '(tenant_id = current_tenant())'
					AND pg_get_expr(p.polwithcheck, c.oid) = '(tenant_id = current_tenant())')
				AND (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles = '{0}') = 1)`,
		`SELECT c.relname || ' has a unique index that does not begin with the tenant: ' || i.relname AS what
			FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
				LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
			WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace AND a.attname IS DISTINCT FROM 'tenant_id'`,
		`SELECT c.relname || ' has no primary key' AS what FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
			AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary)`,
		`SELECT c.relname || ' has a foreign key that does not begin with the tenant: ' || f.conname AS what
			FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
				JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
				JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
			WHERE f.contype = 'f' AND c.relnamespace = 'public'::regnamespace AND (a.attname <> 'tenant_id' OR b.attname <> 'tenant_id')`,
		// These would look past the policies with their owner's eyes.
		`SELECT c.relname || ' is a view' AS what FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'public'::regnamespace`,
		`SELECT p.proname || ' runs with its owner''s rights' AS what FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace`,
	} {
		for _, s := range catalogue[stray](t, url, sql) {
			if name, _, _ := strings.Cut(s.What, " "); open[name] == "" {
				found = append(found, s.What)
			}
		}
	}
	return found
}

func TestEveryTableBelongsToItsTenant(t *testing.T) {
	require.Empty(t, strays(t, tenantstest.DB(t).URL))
	type foreign struct{ Name string }
	require.Equal(t, []foreign{{"doors_tenant_fkey"}}, catalogue[foreign](t, tenantstest.DB(t).URL, `SELECT f.conname AS name
		FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid WHERE f.contype = 'f' AND c.relname IN ('doors', 'spent')`))
}

func TestATableThatForgotIsFound(t *testing.T) {
	const secure = `ALTER TABLE forgot ENABLE ROW LEVEL SECURITY; ALTER TABLE forgot FORCE ROW LEVEL SECURITY;
		CREATE POLICY one_tenant ON forgot USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());`
	const table = `CREATE TABLE forgot (tenant_id uuid NOT NULL REFERENCES tenants, id int NOT NULL, PRIMARY KEY (tenant_id, id));`
	for name, sql := range map[string]string{
		"no row-level security": table,
		"not forced":            table + `ALTER TABLE forgot ENABLE ROW LEVEL SECURITY; CREATE POLICY one_tenant ON forgot USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());`,
		"no check of writing":   table + strings.Replace(secure, "WITH CHECK (tenant_id = current_tenant())", "", 1),
		"one command only":      table + strings.Replace(secure, "ON forgot USING", "ON forgot FOR UPDATE USING", 1),
		"a way past it":         table + secure + `CREATE POLICY wide ON forgot FOR SELECT USING (true);`,
		"no tenant":             `CREATE TABLE forgot (id int PRIMARY KEY);`,
		"key of its own":        strings.Replace(table, "(tenant_id, id)", "(id)", 1) + secure,
		"no key":                strings.Replace(table, ", PRIMARY KEY (tenant_id, id)", "", 1) + secure,
		"unique for everybody":  table + secure + `CREATE UNIQUE INDEX ON forgot (id);`,
		"unique expression":     table + secure + `CREATE UNIQUE INDEX ON forgot ((id + 1));`,
		"another's row":         table + secure + `CREATE UNIQUE INDEX one ON forgot (tenant_id); ALTER TABLE forgot ADD other uuid REFERENCES tenants (tenant_id);`,
		"a view":                `CREATE VIEW forgot AS SELECT * FROM invoices;`,
		"its owner's rights":    `CREATE FUNCTION forgot() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';`,
	} {
		t.Run(name, func(t *testing.T) {
			url := tenantstest.Empty(t, true)
			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), sql)
			require.NoError(t, err)
			require.NoError(t, conn.Close(t.Context()))
			require.NotEmpty(t, strays(t, url))
		})
	}
}

func TestNobodyGotMoreThanItNeeds(t *testing.T) {
	type grant struct{ Table, Role, Right string }
	grants := catalogue[grant](t, tenantstest.DB(t).URL, `
		SELECT table_name AS table, grantee AS role, privilege_type AS right FROM information_schema.role_table_grants
		WHERE table_schema = 'public' AND grantee IN ('dealpay_app', 'dealpay_relay', 'PUBLIC')`)
	require.NotEmpty(t, grants)
	for _, g := range grants {
		require.Equal(t, "dealpay_app", g.Role, g.Table)
		switch g.Right {
		case "DELETE":
			require.NotEmpty(t, open[g.Table], "rows of %s are history", g.Table)
		case "UPDATE":
			require.NotContains(t, []string{"audit", "facts", "ledger_entries"}, g.Table)
		default:
			require.Contains(t, []string{"SELECT", "INSERT"}, g.Right, g.Table)
		}
	}
	type column struct{ Table, Column, Right string }
	relay := catalogue[column](t, tenantstest.DB(t).URL, `
		SELECT table_name AS table, column_name AS column, privilege_type AS right FROM information_schema.role_column_grants
		WHERE table_schema = 'public' AND grantee = 'dealpay_relay' ORDER BY privilege_type, column_name`)
	var seen []string
	for _, g := range relay {
		require.Equal(t, "outbox", g.Table)
		seen = append(seen, g.Right+" "+g.Column)
	}
	require.Equal(t, []string{"SELECT claimed_until", "SELECT dead_at", "SELECT done_at", "SELECT due_at", "SELECT id", "SELECT kind",
		"SELECT relayed_at", "SELECT tenant_id", "UPDATE relayed_at"}, seen, "ids and due times")
	type role struct{ Name string }
	require.Empty(t, catalogue[role](t, tenantstest.DB(t).URL, `SELECT rolname AS name FROM pg_roles
		WHERE rolname IN ('dealpay_app', 'dealpay_relay') AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin)`))
	type owned struct{ Name string }
	require.Empty(t, catalogue[owned](t, tenantstest.DB(t).URL, `
		SELECT relname AS name FROM pg_class WHERE pg_get_userbyid(relowner) IN ('dealpay_app', 'dealpay_relay')`))
}

func TestMigratingAgainIsHarmless(t *testing.T) {
	url := tenantstest.Empty(t, false)
	pending, err := migrations.Pending(t.Context(), url)
	require.NoError(t, err)
	require.True(t, pending)

	done := make(chan error, 4)
	for range cap(done) {
		go func() { done <- migrations.Up(t.Context(), url) }()
	}
	for range cap(done) {
		require.NoError(t, <-done, "several processes start at once")
	}
	require.NoError(t, migrations.Up(t.Context(), url))
	pending, err = migrations.Pending(t.Context(), url)
	require.NoError(t, err)
	require.False(t, pending)
}
