package tenants_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// What the tests below write: promises of one kind.
const (
	queueWrite = `INSERT INTO outbox (tenant_id, kind, key, due_at) VALUES ($1, 'push', $2, now())`
	queueRead  = `SELECT key FROM outbox ORDER BY id`
)

type queuedKey struct {
	Key string `db:"key"`
}

func queuedKeys(t *testing.T, f *tenantstest.Fixture, id tenants.ID) (keys []string) {
	t.Helper()
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		all, err := tenants.Rows[queuedKey](ctx, tx, queueRead)
		for _, k := range all {
			keys = append(keys, k.Key)
		}
		return err
	})
	return keys
}

func TestWhatIsQueuedRunsInOrderBeforeWhatFollows(t *testing.T) {
	f := tenantstest.DB(t)
	id, other := tenantstest.Tenant(t, f, "bitrix24", "acme"), tenantstest.Tenant(t, f, "bitrix24", "other")
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		var before, between []queuedKey
		tenants.Ask(tx, &before, queueRead)
		tx.Later(queueWrite, id.String(), "1")
		tenants.Ask(tx, &between, queueRead)
		tx.Later(queueWrite, id.String(), "2")
		after, err := tenants.Rows[queuedKey](ctx, tx, queueRead)
		require.NoError(t, err)
		require.Empty(t, before)
		require.Equal(t, []queuedKey{{"1"}}, between)
		require.Equal(t, []queuedKey{{"1"}, {"2"}}, after)
		tx.Later(queueWrite, id.String(), "3")
		tag, err := tx.Exec(ctx, `UPDATE outbox SET attempts = 1`)
		require.NoError(t, err)
		require.EqualValues(t, 3, tag.RowsAffected())
		tx.Later(queueWrite, id.String(), "4")
		var n int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&n))
		require.Equal(t, 4, n)
		tx.Later(queueWrite, id.String(), "5") // nothing follows: it goes before the commit
		return nil
	})
	require.Equal(t, []string{"1", "2", "3", "4", "5"}, queuedKeys(t, f, id))
	require.Empty(t, queuedKeys(t, f, other))
}

func TestAQueuedFailureUndoesEverything(t *testing.T) {
	f := tenantstest.DB(t)
	id, other := tenantstest.Tenant(t, f, "bitrix24", "acme"), tenantstest.Tenant(t, f, "bitrix24", "other")
	none := errors.New("nothing changed")
	for name, c := range map[string]struct {
		says error // nil: the database's own
		fn   func(ctx context.Context, tx *tenants.Tx) error
	}{
		"before commit": {fn: func(_ context.Context, tx *tenants.Tx) error {
			tx.Later(queueWrite, other.String(), "of another tenant")
			tx.Later(queueWrite, id.String(), "after it")
			return nil
		}},
		"before a read": {fn: func(ctx context.Context, tx *tenants.Tx) error {
			tx.Later(queueWrite, other.String(), "of another tenant")
			_, err := tenants.Row[queuedKey](ctx, tx, queueRead)
			return err
		}},
		"before one value": {fn: func(ctx context.Context, tx *tenants.Tx) error {
			tx.Later(queueWrite, other.String(), "of another tenant")
			var n int
			return tx.QueryRow(ctx, `SELECT 1`).Scan(&n)
		}},
		"nothing to change": {says: none, fn: func(_ context.Context, tx *tenants.Tx) error {
			tx.Must(none, `UPDATE outbox SET attempts = 1 WHERE key = 'nobody'`)
			tx.Later(queueWrite, id.String(), "after it")
			return nil
		}},
		"the caller's own": {says: none, fn: func(_ context.Context, tx *tenants.Tx) error {
			tx.Later(queueWrite, id.String(), "before it")
			return none
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := f.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
				if _, err := tx.Exec(ctx, queueWrite, id.String(), "first"); err != nil {
					return err
				}
				return c.fn(ctx, tx)
			})
			require.Error(t, err)
			if c.says != nil {
				require.ErrorIs(t, err, c.says)
			}
			require.Empty(t, queuedKeys(t, f, id))
			require.Empty(t, queuedKeys(t, f, other))
		})
	}
}

func TestCutConnectionsCostNobodyAnything(t *testing.T) {
	f := tenantstest.DB(t)
	id := tenantstest.Tenant(t, f, "bitrix24", "acme")
	require.NoError(t, f.DB.Lightly(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.OpenDoor(ctx, tenants.LinkDoor, "door", "ref")
	}))
	owner, err := pgx.Connect(t.Context(), f.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close(context.WithoutCancel(t.Context()))) }()
	for round := range 5 {
		together(8, func(int) { // so that many connections rest in the pool
			require.NoError(t, f.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
				_, err := tx.Exec(ctx, `SELECT pg_sleep(0.02)`)
				return err
			}))
		})
		var cut int
		require.NoError(t, owner.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE application_name = 'dealpay_app' AND datname = current_database()`).Scan(&cut))
		require.Greater(t, cut, 1)
		if round%2 == 0 {
			_, ref, err := f.DB.Enter(t.Context(), tenants.LinkDoor, "door")
			require.NoError(t, err)
			require.Equal(t, "ref", ref)
		}
		in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		})
	}
}

func TestADatabaseThatIsAwayIsSaidAtOnce(t *testing.T) {
	f := tenantstest.DB(t)
	id := tenantstest.Tenant(t, f, "bitrix24", "acme")
	away, err := tenants.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none", 8, f.Sealer)
	require.NoError(t, err)
	defer away.Close()
	began := time.Now()
	require.Error(t, away.In(t.Context(), id, func(context.Context, *tenants.Tx) error { return nil }))
	require.Less(t, time.Since(began), 5*time.Second)
}
