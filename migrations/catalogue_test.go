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

func TestEveryTableBelongsToItsTenant(t *testing.T) {
	type table struct {
		Name      string
		HasTenant bool
		Enabled   bool
		Forced    bool
		Bound     bool // a policy for everybody and every command, reading and writing
		Others    int  // policies for everybody beside that one
	}
	tables := catalogue[table](t, tenantstest.DB(t).URL, `
		SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull) AS has_tenant,
			EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polroles = '{0}' AND p.polpermissive
				AND pg_get_expr(p.polqual, c.oid) = '(tenant_id = current_tenant())'
				AND pg_get_expr(p.polwithcheck, c.oid) = '(tenant_id = current_tenant())') AS bound,
			(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles = '{0}') - 1 AS others
		FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace`)
	require.NotEmpty(t, tables)
	for _, found := range tables {
		if open[found.Name] != "" {
			continue
		}
		require.Equal(t, table{found.Name, true, true, true, true, 0}, found)
	}
}

func TestEveryKeyStartsWithTheTenant(t *testing.T) {
	type index struct{ Table, Name, First string }
	indexes := catalogue[index](t, tenantstest.DB(t).URL, `
		SELECT c.relname AS table, i.relname AS name, a.attname AS first
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
		WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace`)
	primary := map[string]bool{}
	for _, found := range indexes {
		if open[found.Table] == "" {
			require.Equal(t, "tenant_id", found.First, "unique index %s of %s", found.Name, found.Table)
			primary[found.Table] = primary[found.Table] || strings.HasSuffix(found.Name, "_pkey")
		}
	}
	for table, has := range primary {
		require.True(t, has, "primary key of %s", table)
	}

	type foreign struct{ Table, Name, First, Target string }
	keys := catalogue[foreign](t, tenantstest.DB(t).URL, `
		SELECT c.relname AS table, f.conname AS name, a.attname AS first, b.attname AS target
		FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
			JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
			JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		WHERE f.contype = 'f' AND c.relnamespace = 'public'::regnamespace`)
	require.NotEmpty(t, keys)
	for _, found := range keys {
		require.Equal(t, "tenant_id", found.Target, "%s of %s", found.Name, found.Table)
		if open[found.Table] == "" {
			require.Equal(t, "tenant_id", found.First, "%s of %s", found.Name, found.Table)
		}
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
