package tenantstest_test

import (
	"context"
	"testing"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestEachTestHasItsOwnDatabases(t *testing.T) {
	a, b := tenantstest.DB(t), tenantstest.DB(t)
	id := tenantstest.Tenant(t, a, "bitrix24", "acme")
	require.NoError(t, a.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		require.Equal(t, "acme.bitrix24.com", me.Domain)
		return err
	}))
	_, _, err := b.DB.Enter(t.Context(), "bitrix24", "acme")
	require.ErrorIs(t, err, tenants.ErrNoDoor)

	first, second := connect(t, tenantstest.Redis(t)), connect(t, tenantstest.Redis(t))
	require.NoError(t, first.Set(t.Context(), "k", 1, 0).Err())
	require.ErrorIs(t, second.Get(t.Context(), "k").Err(), redis.Nil)
}

func connect(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
