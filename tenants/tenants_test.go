package tenants_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func in(t *testing.T, f *tenantstest.Fixture, id tenants.ID, fn func(ctx context.Context, tx *tenants.Tx) error) {
	t.Helper()
	require.NoError(t, f.DB.In(t.Context(), id, fn))
}

// together runs fn n times at once.
func together(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { fn(i) })
	}
	all.Wait()
}

func TestJoiningAtOnceMakesOneTenant(t *testing.T) {
	f := tenantstest.DB(t)
	ids := make([]tenants.ID, 32)
	errs := make([]error, 32)
	together(32, func(i int) {
		ids[i], errs[i] = f.DB.Join(t.Context(), "bitrix24", "member", fmt.Sprintf("d%d.bitrix24.com", i), "Acme")
	})
	for i := range ids {
		require.NoError(t, errs[i])
		require.Equal(t, ids[0], ids[i])
	}
	other, err := f.DB.Join(t.Context(), "amocrm", "member", "d.amocrm.ru", "")
	require.NoError(t, err)
	require.NotEqual(t, ids[0], other, "the same key at another CRM is another account")
	var rows int
	as(t, f, "", nil, func(ctx context.Context, tx pgx.Tx) {
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(DISTINCT tenant) FROM doors`).Scan(&rows))
	})
	require.Equal(t, 2, rows)
}

func TestJoiningAgainFollowsARename(t *testing.T) {
	f := tenantstest.DB(t)
	id := tenantstest.Tenant(t, f, "bitrix24", "acme")
	again, err := f.DB.Join(t.Context(), "bitrix24", "acme", "renamed.bitrix24.com", "")
	require.NoError(t, err)
	require.Equal(t, id, again)
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		require.Equal(t, "renamed.bitrix24.com", me.Domain)
		require.Equal(t, "acme", me.Name, "an unknown name changes nothing")
		require.Equal(t, tenants.Active, me.Status)
		require.Equal(t, 72, me.Settings.LinkHours)
		return err
	})
}

func TestDoorsLeadToOneTenantOnly(t *testing.T) {
	f := tenantstest.DB(t)
	a, b := tenantstest.Tenant(t, f, "kommo", "a"), tenantstest.Tenant(t, f, "kommo", "b")
	open := func(id tenants.ID, ref string) error {
		return f.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
			return tx.OpenDoor(ctx, tenants.LinkDoor, "key", ref)
		})
	}
	require.NoError(t, open(a, "one"))
	require.ErrorContains(t, open(b, "two"), "another tenant")
	require.NoError(t, open(a, "two"))
	id, ref, err := f.DB.Enter(t.Context(), tenants.LinkDoor, "key")
	require.NoError(t, err)
	require.Equal(t, a, id)
	require.Equal(t, "two", ref)
	_, _, err = f.DB.Enter(t.Context(), tenants.HookDoor, "key")
	require.ErrorIs(t, err, tenants.ErrNoDoor, "a key opens its own kind of door")
	closeDoors := func(id tenants.ID) {
		in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error { return tx.CloseDoors(ctx, tenants.LinkDoor, "two") })
	}
	closeDoors(b)
	_, _, err = f.DB.Enter(t.Context(), tenants.LinkDoor, "key")
	require.NoError(t, err, "nobody closes another's door")
	closeDoors(a)
	_, _, err = f.DB.Enter(t.Context(), tenants.LinkDoor, "key")
	require.ErrorIs(t, err, tenants.ErrNoDoor)
}

func TestATokenIsSpentOnce(t *testing.T) {
	f := tenantstest.DB(t)
	now := time.Now()
	var mu sync.Mutex
	fresh := 0
	together(16, func(int) {
		ok, err := f.DB.Spend(t.Context(), "jti", now.Add(time.Minute), now)
		mu.Lock()
		defer mu.Unlock()
		require.NoError(t, err)
		if ok {
			fresh++
		}
	})
	require.Equal(t, 1, fresh)
	ok, err := f.DB.Spend(t.Context(), "jti", now.Add(3*time.Minute), now.Add(2*time.Minute))
	require.NoError(t, err)
	require.True(t, ok, "after its end it is refused elsewhere, and forgotten here")
}

func TestARepeatedRequestFindsWhatTheFirstMade(t *testing.T) {
	f := tenantstest.DB(t)
	a, b := tenantstest.Tenant(t, f, "kommo", "a"), tenantstest.Tenant(t, f, "kommo", "b")
	once := func(id tenants.ID, key, body, ref string) (earlier string, seen bool, err error) {
		err = f.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
			earlier, seen, err = tx.Once(ctx, key, []byte(body), ref)
			return err
		})
		return earlier, seen, err
	}
	refs := make([]string, 16)
	together(16, func(i int) {
		ref, _, err := once(a, "key", "body", fmt.Sprint("ref", i))
		if err == nil {
			refs[i] = ref
		}
	})
	require.NotEmpty(t, refs[0])
	for _, ref := range refs {
		require.Equal(t, refs[0], ref)
	}
	_, _, err := once(a, "key", "other body", "x")
	require.ErrorIs(t, err, tenants.ErrOtherBody)
	ref, seen, err := once(b, "key", "other body", "of b")
	require.NoError(t, err)
	require.False(t, seen)
	require.Equal(t, "of b", ref)
	_, seen, err = once(a, "", "body", "r")
	require.NoError(t, err)
	require.False(t, seen)
}

func TestWhatIsSealedOpensOnlyForItsTenantAndPurpose(t *testing.T) {
	f := tenantstest.DB(t)
	a, b := tenantstest.Tenant(t, f, "kommo", "a"), tenantstest.Tenant(t, f, "kommo", "b")
	rapid.Check(t, func(t *rapid.T) {
		clear := rapid.SliceOf(rapid.Byte()).Draw(t, "clear")
		sealed, err := f.Sealer.Seal(a, "refresh", clear)
		require.NoError(t, err)
		require.False(t, len(clear) > 4 && bytes.Contains(sealed, clear))
		opened, err := f.Sealer.Open(a, "refresh", sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear, opened))
		_, err = f.Sealer.Open(b, "refresh", sealed)
		require.ErrorIs(t, err, tenants.ErrSealed)
		_, err = f.Sealer.Open(a, "access", sealed)
		require.ErrorIs(t, err, tenants.ErrSealed)
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1
		_, err = f.Sealer.Open(a, "refresh", sealed)
		require.ErrorIs(t, err, tenants.ErrSealed)
	})
}

func TestRotatedKeysStillOpenWhatWasSealedBefore(t *testing.T) {
	keyset, err := tenants.NewKeyset()
	require.NoError(t, err)
	rotated, err := tenants.Rotate(keyset)
	require.NoError(t, err)
	before, err := tenants.NewSealer(keyset)
	require.NoError(t, err)
	after, err := tenants.NewSealer(rotated)
	require.NoError(t, err)
	old, err := before.Seal(tenants.ID{}, "x", []byte("clear"))
	require.NoError(t, err)
	opened, err := after.Open(tenants.ID{}, "x", old)
	require.NoError(t, err)
	require.Equal(t, "clear", string(opened))
	fresh, err := after.Seal(tenants.ID{}, "x", []byte("clear"))
	require.NoError(t, err)
	_, err = before.Open(tenants.ID{}, "x", fresh)
	require.ErrorIs(t, err, tenants.ErrSealed, "the new key seals")
	for _, bad := range []string{"", "%", "e30=", "bm8="} {
		_, err = tenants.NewSealer(bad)
		require.ErrorContains(t, err, "SECRET_KEYSET")
	}
}

func TestStatusChangesAreAudited(t *testing.T) {
	f := tenantstest.DB(t)
	id := tenantstest.Tenant(t, f, "kommo", "a")
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		return errors.Join(tx.SetStatus(ctx, tenants.Revoked, "refused", tenants.CRM), tx.SetStatus(ctx, tenants.Revoked, "again", tenants.CRM),
			tx.SetSettings(ctx, tenants.Settings{Language: "hy"}, "user:1"), tx.SetLayout(ctx, json.RawMessage(`{"f":1}`), true))
	})
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		trail, err := tx.Trail(ctx, nil, 0, 10)
		require.Len(t, trail, 2)
		require.Equal(t, "settings.changed", trail[0].Action)
		require.Equal(t, "tenant.revoked", trail[1].Action)
		require.Equal(t, "active", trail[1].Before)
		older, err2 := tx.Trail(ctx, nil, trail[0].ID, 10)
		require.Len(t, older, 1)
		me, err3 := tx.Me(ctx)
		require.Equal(t, "hy", me.Settings.Language)
		require.True(t, me.Enterprise)
		require.Equal(t, "refused", me.StatusWhy)
		return errors.Join(err, err2, err3)
	})
}

func TestAPIKeysOpenUntilTheyAreRevoked(t *testing.T) {
	f := tenantstest.DB(t)
	a, b := tenantstest.Tenant(t, f, "kommo", "a"), tenantstest.Tenant(t, f, "kommo", "b")
	var key tenants.APIKey
	var clear tenants.Secret
	in(t, f, a, func(ctx context.Context, tx *tenants.Tx) (err error) {
		key, clear, err = tx.NewAPIKey(ctx, "export", tenants.Accountant, "user:1")
		return err
	})
	id, ref, err := f.DB.Enter(t.Context(), tenants.APIKeyDoor, string(clear))
	require.NoError(t, err)
	require.Equal(t, a, id)
	require.Equal(t, key.ID.String(), ref)
	revoke := func(ctx context.Context, tx *tenants.Tx) error { return tx.RevokeAPIKey(ctx, key.ID, "user:1") }
	require.ErrorIs(t, f.DB.In(t.Context(), b, revoke), pgx.ErrNoRows)
	in(t, f, a, revoke)
	_, _, err = f.DB.Enter(t.Context(), tenants.APIKeyDoor, string(clear))
	require.ErrorIs(t, err, tenants.ErrNoDoor)
	in(t, f, a, func(ctx context.Context, tx *tenants.Tx) error {
		keys, err := tx.APIKeys(ctx)
		require.Len(t, keys, 1)
		require.NotNil(t, keys[0].RevokedAt)
		return err
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := tenants.Secret("hunter2")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s)
	raw, err := json.Marshal(map[string]any{"secret": s})
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v", struct{ S tenants.Secret }{s}), log.String(), string(raw)} {
		require.NotContains(t, text, "hunter2")
	}
}

func TestRolesIncludeTheLesserOnes(t *testing.T) {
	require.True(t, tenants.Admin.Allows(tenants.Manager))
	require.True(t, tenants.Accountant.Allows(tenants.Accountant))
	require.False(t, tenants.Manager.Allows(tenants.Accountant))
	require.False(t, tenants.Role("").Allows(""))
	require.False(t, tenants.Role("root").Allows(tenants.Manager))
}
