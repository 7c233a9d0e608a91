package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/widgets/api"
)

// health is what the settings page says of the account's connection.
func (a *account) health() api.Health {
	a.Helper()
	return want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Health
}

// TestWhatWasGivenUpIsSeenAndReplayed takes every CRM away for longer than anything is tried, and brings the work back by
// each of the three doors: some of it, all of it, and the operator's command.
func TestWhatWasGivenUpIsSeenAndReplayed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	deals := []string{"1", "2", "3", "4"}
	paid := map[*account]map[string]api.Invoice{}
	for _, a := range s.accounts {
		paid[a] = map[string]api.Invoice{}
		for _, deal := range deals {
			paid[a][deal] = a.create(deal)
		}
		a.quiet()
		calm := a.health()
		require.Equal(t, []any{"active", true, 0, 0}, []any{string(calm.Status), calm.Setup, calm.Waiting, calm.Failed})
		require.NotNil(t, calm.TokenAt)
		require.True(t, calm.TokenExpiresAt.After(*calm.TokenAt))
		require.Empty(t, calm.PausedWhy+calm.StatusWhy)
		require.NotNil(t, calm.HeadRoom)
		require.Positive(t, *calm.HeadRoom)
		require.LessOrEqual(t, *calm.HeadRoom, float32(1))
		require.Equal(t, []any{"write", "ok"}, []any{string(calm.LastCalls[0].What), calm.LastCalls[0].Outcome})
		require.WithinDuration(t, s.clock.Now(), *calm.LastCallAt, time.Minute)
		a.down()
		for _, in := range paid[a] {
			s.pays(s.press(in), "paid", 1)
		}
	}
	failing := func(a *account) int {
		return a.number(`SELECT count(*) FROM outbox WHERE kind = 'push' AND done_at IS NULL AND failing_since IS NOT NULL`)
	}
	for _, a := range s.accounts {
		s.until("every deal has failed once", func() bool { return failing(a) == len(deals) })
		late := a.health()
		require.Equal(t, []any{len(deals), 0}, []any{late.Waiting, late.Failed})
		require.NotNil(t, late.OldestWaitingAt)
		require.Equal(t, "transient", late.LastCalls[0].Outcome)
	}
	s.clock.Advance(73 * time.Hour)
	for _, a := range s.accounts {
		s.until("all is given up", func() bool { return a.health().Failed == len(deals) })
		given := a.health()
		var keys []string
		for _, f := range given.Failures {
			require.Equal(t, []string{"push", "transient"}, []string{f.Kind, f.Reason})
			keys = append(keys, f.Key)
		}
		slices.Sort(keys)
		require.Equal(t, deals, keys)
		require.Zero(t, given.Waiting)
		require.Equal(t, "failed", string(a.get(paid[a]["1"].Id).Sync.State))
		// A look at what the CRM reported, or the night's, would find these deals behind and write them; here nobody looks.
		s.until("nobody looks", func() bool {
			return a.number(`WITH taken AS (UPDATE outbox SET done_at = now() WHERE kind IN ('review', 'reconcile') AND done_at IS NULL RETURNING id)
				SELECT (SELECT count(*) FROM taken) + count(*) FROM outbox WHERE kind IN ('review', 'reconcile') AND claimed_by IS NOT NULL`) == 0
		})
		a.up()
		a.quiet()
		require.Equal(t, len(deals), a.health().Failed, "nothing comes back by itself")
	}
	for _, a := range s.accounts {
		a.bringBack(paid[a])
	}
}

func (a *account) bringBack(paid map[string]api.Invoice) {
	a.Helper()
	left := func() map[string]int64 {
		ids := map[string]int64{}
		for _, f := range a.health().Failures {
			ids[f.Key] = f.Id
		}
		return ids
	}
	replay := func(body map[string]any) int {
		a.Helper()
		return want[api.ReplayResult](a.scene, http.StatusOK, a.api(http.MethodPost, "/replay", body)).Replayed
	}
	is := func(deals ...string) {
		a.Helper()
		for _, deal := range deals {
			in := a.becomes(paid[deal], "paid")
			require.Len(a, a.deal(deal).notes(in), 1)
			require.Equal(a, "paid", a.deal(deal).field("status"))
		}
	}
	first := left()["1"]
	require.Equal(a, 1, replay(map[string]any{"ids": []int64{first}}))
	is("1")
	require.Len(a, left(), 3)
	require.Zero(a, replay(map[string]any{"ids": []int64{first}}), "it is replayed already")

	want[api.Invoice](a.scene, http.StatusOK, a.api(http.MethodPost, "/invoices/"+paid["2"].Id+"/check", nil)) // the card's "check now"
	is("2")
	require.Len(a, left(), 2)

	command := process(a.T, append(a.environment(), asProgram+"=1"), "replay", "--tenant", a.ID, fmt.Sprint(left()["3"]))
	require.NoError(a, command.Wait())
	is("3")

	require.Equal(a, 1, replay(map[string]any{"all": true}))
	is("4")
	require.Empty(a, left())
	require.Zero(a, replay(map[string]any{"all": true}))
	require.Equal(a, 4, a.number(`SELECT count(*) FROM audit WHERE action = 'work.replayed' AND actor LIKE 'key:%'`))
	require.Equal(a, 1, a.number(`SELECT count(*) FROM audit WHERE action = 'work.replayed' AND actor NOT LIKE 'key:%'`), "the operator's")
	var broken *exec.ExitError
	require.ErrorAs(a, process(a.T, append(a.environment(), asProgram+"=1"), "replay", "--tenant", "nobody").Wait(), &broken)
}
