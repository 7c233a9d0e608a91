package outbox_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// desk is one tenant, its promises, and a clock in the middle of a second.
type desk struct {
	*testing.T
	f   *tenantstest.Fixture
	id  tenants.ID
	now time.Time
}

func newDesk(t *testing.T) *desk {
	f := tenantstest.DB(t)
	return &desk{t, f, tenantstest.Tenant(t, f, "bitrix24", "acme"), time.Now().UTC().Truncate(time.Microsecond)}
}

func (d *desk) another(name string) tenants.ID { return tenantstest.Tenant(d.T, d.f, "kommo", name) }

func (d *desk) try(fn func(ctx context.Context, tx *tenants.Tx) error) error {
	return d.f.DB.In(d.Context(), d.id, fn)
}

// queued is a transaction that waits for nothing before its commit.
func queued(fn func(tx *tenants.Tx)) func(context.Context, *tenants.Tx) error {
	return func(_ context.Context, tx *tenants.Tx) error {
		fn(tx)
		return nil
	}
}

func (d *desk) in(fn func(ctx context.Context, tx *tenants.Tx) error) {
	d.Helper()
	require.NoError(d, d.try(fn))
}

func (d *desk) promise(key string, due time.Time) {
	d.Helper()
	d.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Make(ctx, tx, outbox.Push, key, due) })
}

func (d *desk) take(owner uuid.UUID, limit int) (claims []outbox.Claim) {
	d.Helper()
	d.in(func(ctx context.Context, tx *tenants.Tx) (err error) {
		claims, err = outbox.Take(ctx, tx, outbox.Push, 0, owner, d.now, time.Minute, limit)
		return err
	})
	return claims
}

func (d *desk) one() outbox.Claim {
	d.Helper()
	claims := d.take(uuid.New(), 10)
	require.Len(d, claims, 1)
	return claims[0]
}

func (d *desk) done(c outbox.Claim) error {
	return d.try(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Done(ctx, tx, d.now, c) })
}

func TestManyPromisesOfOneThingAreOneRow(t *testing.T) {
	d := newDesk(t)
	var woken []tenants.Reminder
	d.f.DB.Wake = func(r []tenants.Reminder) { woken = append(woken, r...) }
	d.promise("1", d.now.Add(time.Hour))
	require.Empty(t, d.take(uuid.New(), 10), "not due yet")
	d.promise("1", d.now.Add(-time.Second))
	d.promise("1", d.now.Add(time.Hour))
	c := d.one()
	require.Equal(t, int64(3), c.Seq)
	require.Len(t, woken, 3)
	require.Equal(t, d.now.Add(-time.Second), woken[2].Due.UTC(), "a promise is never put off")
	require.NoError(t, d.done(c))
	require.Empty(t, d.take(uuid.New(), 10))
	d.promise("1", d.now)
	require.NotEqual(t, c.ID, d.one().ID, "what was kept is history")
}

func TestARolledBackPromiseIsNone(t *testing.T) {
	d := newDesk(t)
	d.f.DB.Wake = func([]tenants.Reminder) { t.Error("nothing to remind of") }
	require.ErrorIs(t, d.try(func(ctx context.Context, tx *tenants.Tx) error {
		require.NoError(t, outbox.Make(ctx, tx, outbox.Push, "1", d.now))
		return context.Canceled
	}), context.Canceled)
	require.Empty(t, d.take(uuid.New(), 10))
}

func TestAClaimBelongsToOneWorker(t *testing.T) {
	d := newDesk(t)
	for _, key := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		d.promise(key, d.now)
	}
	var mu sync.Mutex
	owners := map[int64]int{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, c := range d.take(uuid.New(), 3) {
				mu.Lock()
				owners[c.ID]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(owners), 8)
	for _, n := range owners {
		require.Equal(t, 1, n)
	}
}

func TestPromisedAgainMeanwhileStaysOpen(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	c := d.one()
	d.promise("1", d.now)
	var woken []tenants.Reminder
	d.f.DB.Wake = func(r []tenants.Reminder) { woken = append(woken, r...) }
	require.NoError(t, d.done(c))
	require.Len(t, woken, 1, "and is due at once")
	again := d.one()
	require.Equal(t, c.ID, again.ID)
	require.NoError(t, d.done(again))
	require.Empty(t, d.take(uuid.New(), 10))
}

func TestALostClaimRecordsNothing(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	slow := d.one()
	renew := func(c outbox.Claim) error {
		return d.try(func(ctx context.Context, tx *tenants.Tx) error {
			return outbox.Renew(ctx, tx, []outbox.Claim{c}, d.now.Add(time.Minute))
		})
	}
	d.now = d.now.Add(50 * time.Second)
	require.NoError(t, renew(slow))
	d.now = d.now.Add(50 * time.Second)
	require.Empty(t, d.take(uuid.New(), 10), "renewed")
	d.now = d.now.Add(time.Minute)
	quick := d.one()
	for name, fn := range map[string]func(ctx context.Context, tx *tenants.Tx) error{
		"done":  func(ctx context.Context, tx *tenants.Tx) error { return outbox.Done(ctx, tx, d.now, slow) },
		"again": func(ctx context.Context, tx *tenants.Tx) error { return outbox.Again(ctx, tx, slow, d.now, d.now, "x") },
		"bury":  func(ctx context.Context, tx *tenants.Tx) error { return outbox.Bury(ctx, tx, slow, d.now, "x") },
	} {
		require.ErrorIs(t, d.try(fn), outbox.ErrLost, name)
	}
	require.ErrorIs(t, renew(slow), outbox.ErrLost)
	require.NoError(t, d.done(quick))
	require.ErrorIs(t, renew(quick), outbox.ErrLost, "nothing left to hold")
}

func TestFailuresCountAndThrottlingDoesNot(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	again := func(c outbox.Claim, due time.Time, failure string) {
		d.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Again(ctx, tx, c, d.now, due, failure) })
	}
	again(d.one(), d.now.Add(time.Second), "")
	require.Empty(t, d.take(uuid.New(), 10))
	d.now = d.now.Add(2 * time.Second)
	c := d.one()
	require.Zero(t, c.Attempts)
	require.Nil(t, c.FailingSince)
	since := d.now
	again(c, d.now.Add(time.Second), "down")
	d.now = d.now.Add(2 * time.Second)
	c = d.one()
	require.Equal(t, 1, c.Attempts)
	require.Equal(t, since, c.FailingSince.UTC())
	d.promise("1", d.now)
	again(c, d.now.Add(time.Hour), "")
	require.Equal(t, c.ID, d.one().ID, "a newer wish is not put off by an older one's pause")
}

func TestWhatWasBuriedCanBeReplayed(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	bury := func(c outbox.Claim) {
		d.in(func(ctx context.Context, tx *tenants.Tx) error { return outbox.Bury(ctx, tx, c, d.now, "refused") })
	}
	bury(d.one())
	require.Empty(t, d.take(uuid.New(), 10))
	d.promise("1", d.now)
	newer := d.one()
	d.promise("1", d.now)
	bury(newer)
	newer = d.one()
	require.Equal(t, int64(2), newer.Seq, "the newest wish was not tried yet")
	bury(newer)
	d.in(func(ctx context.Context, tx *tenants.Tx) error {
		dead, err := outbox.Buried(ctx, tx, 10)
		require.Len(t, dead, 2)
		require.Equal(t, "refused", dead[0].Reason)
		n, err2 := outbox.Replay(ctx, tx, []int64{dead[1].ID}, d.now)
		require.Equal(t, 1, n)
		require.NoError(t, err2)
		n, err2 = outbox.Replay(ctx, tx, nil, d.now)
		require.Equal(t, 1, n)
		require.NoError(t, err2)
		return err
	})
	require.Equal(t, int64(2), d.one().Seq, "both are one open promise again")
	d.in(func(ctx context.Context, tx *tenants.Tx) error {
		dead, err := outbox.Buried(ctx, tx, 10)
		require.Empty(t, dead)
		return err
	})
}

func TestADroppedPromiseIsNotKept(t *testing.T) {
	d := newDesk(t)
	d.promise("1", d.now)
	d.in(queued(func(tx *tenants.Tx) { outbox.Drop(tx, outbox.Push, "1", d.now) }))
	require.Empty(t, d.take(uuid.New(), 10))

	d.promise("1", d.now) // dropped while somebody works on it, and perhaps promised anew
	c := d.one()
	d.in(queued(func(tx *tenants.Tx) { outbox.Drop(tx, outbox.Push, "1", d.now) }))
	d.promise("1", d.now.Add(time.Hour))
	require.NoError(t, d.done(c))
	require.Empty(t, d.take(uuid.New(), 10))
}

func TestStirringHastensOnlyWhatIsOpen(t *testing.T) {
	d := newDesk(t)
	stir := func() {
		d.in(queued(func(tx *tenants.Tx) { outbox.Stir(tx, outbox.Push, "1", d.now) }))
	}
	stir()
	require.Empty(t, d.take(uuid.New(), 10), "nothing was promised")
	d.promise("1", d.now.Add(time.Hour))
	d.promise("2", d.now.Add(time.Hour))
	stir()
	c := d.one()
	require.Equal(t, "1", c.Key)
	stir() // while somebody works on it
	d.in(func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Again(ctx, tx, c, d.now, d.now.Add(time.Hour), "")
	})
	require.Equal(t, "1", d.one().Key, "what came meanwhile is looked at at once")
}

func TestTheRelayRemindsOncePerQuietTime(t *testing.T) {
	d := newDesk(t)
	other := d.another("other")
	d.promise("1", d.now)
	d.promise("later", d.now.Add(time.Hour))
	require.NoError(t, d.f.DB.In(t.Context(), other, func(ctx context.Context, tx *tenants.Tx) error {
		return outbox.Make(ctx, tx, outbox.Check, "x", d.now.Add(-time.Second))
	}))
	due := func() []tenants.Reminder {
		found, err := d.f.DB.Due(t.Context(), d.now, 10*time.Second, 10)
		require.NoError(t, err)
		return found
	}
	found := due()
	require.Len(t, found, 2)
	require.ElementsMatch(t, []tenants.ID{d.id, other}, []tenants.ID{found[0].Tenant, found[1].Tenant})
	require.Empty(t, due(), "reminded just now")
	d.now = d.now.Add(11 * time.Second)
	require.Len(t, due(), 2, "the reminder was lost")
	c := d.one()
	d.now = d.now.Add(11 * time.Second)
	require.Len(t, due(), 1, "somebody works on it")
	require.NoError(t, d.done(c))
	d.now = d.now.Add(2 * time.Minute)
	require.Len(t, due(), 1)
}

func TestEffectsHappenOnceInEffect(t *testing.T) {
	d := newDesk(t)
	plan := func(kind outbox.EffectKind, key string, what outbox.Telling) {
		d.in(queued(func(tx *tenants.Tx) { outbox.Plan(tx, kind, key, "7", what) }))
	}
	open := func() (effects []outbox.Effect) {
		d.in(queued(func(tx *tenants.Tx) { outbox.Open(tx, &effects, []string{"7"}) }))
		return effects
	}
	plan(outbox.Task, "task", outbox.Telling{What: "mismatch"})
	plan(outbox.Task, "task", outbox.Telling{What: "another"})
	plan(outbox.CloseTask, "close", outbox.Telling{Of: "task"})
	effects := open()
	require.Len(t, effects, 2)
	told, err := effects[0].Telling()
	require.NoError(t, err)
	require.Equal(t, "mismatch", told.What, "planned twice is planned once")
	require.Equal(t, "planned", effects[1].OfStatus)
	d.in(queued(func(tx *tenants.Tx) { outbox.Sending(tx, []string{"task"}, d.now) }))
	require.Equal(t, "sending", open()[0].Status)
	require.Equal(t, "sending", open()[1].OfStatus)
	d.in(queued(func(tx *tenants.Tx) { outbox.Unsent(tx, "task") }))
	require.Equal(t, "planned", open()[0].Status)
	d.in(queued(func(tx *tenants.Tx) { outbox.Sent(tx, d.now, outbox.Receipt{Key: "task", RemoteID: "55"}) }))
	effects = open()
	require.Len(t, effects, 1)
	require.Equal(t, "55", effects[0].RemoteOf)
	d.in(queued(func(tx *tenants.Tx) {
		outbox.Forget(tx, "task", "too late")
		outbox.Forget(tx, "close", "not needed")
	}))
	require.Empty(t, open())
}
