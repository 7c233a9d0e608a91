package crmtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants/standintest"
)

func requireOne(t *testing.T, notes []Note, reference, id string) {
	t.Helper()
	var found []Note
	for _, n := range notes {
		if strings.Contains(n.Text, reference) {
			found = append(found, n)
		}
	}
	require.Len(t, found, 1)
	require.Equal(t, id, found[0].ID)
}

func one(t *testing.T, account crm.Account, deal string, e crm.Effect) crm.Verdict {
	t.Helper()
	got := account.Apply(t.Context(), []crm.Change{{Deal: deal, Effect: &e}})
	require.Len(t, got, 1)
	return got[0]
}

func effects(t *testing.T, f Fixture) {
	account, deal := ready(t, f.Site), f.Deals[0]
	// The reference is not in these texts: the adapter stores it all the same.
	note := one(t, account, deal, crm.Effect{Kind: crm.Note, Reference: "DP-NOTE1", Text: "Paid: 100 & more\nsecond [b]line[/b]"})
	require.NoError(t, note.Err)
	view := f.View(deal)
	requireOne(t, view.Notes, "DP-NOTE1", note.RemoteID)
	require.Contains(t, view.Notes[0].Text, "Paid: 100 & more\nsecond ")

	due := f.Control.Clock.Now().Add(24 * time.Hour)
	owners := task(t, account, f, deal, crm.Effect{Kind: crm.Task, Reference: "DP-TASK1", Text: "Look at it", Due: due})
	require.Equal(t, f.Known.OwnerID, owners.OwnerID, "a task without an owner is the deal's owner's")
	given := task(t, account, f, f.Deals[1], crm.Effect{Kind: crm.Task, Reference: "DP-TASK2", Text: "Look DP-TASK2",
		Due: due, OwnerID: f.Manager})
	require.Equal(t, f.Manager, given.OwnerID)
	require.Equal(t, 1, strings.Count(given.Text, "DP-TASK2"), "a reference that is in the text is not repeated")
}

// task makes a task in a deal that had none and returns the stand-in's picture of it.
func task(t *testing.T, account crm.Account, f Fixture, deal string, e crm.Effect) Task {
	t.Helper()
	v := one(t, account, deal, e)
	require.NoError(t, v.Err)
	tasks := f.View(deal).Tasks
	require.Len(t, tasks, 1)
	require.Equal(t, v.RemoteID, tasks[0].ID)
	require.Contains(t, tasks[0].Text, e.Reference)
	require.Contains(t, tasks[0].Text, e.Text)
	require.False(t, tasks[0].Done)
	return tasks[0]
}

func closing(t *testing.T, f Fixture) {
	account, deal := ready(t, f.Site), f.Deals[0]
	made := one(t, account, deal, crm.Effect{Kind: crm.Task, Reference: "DP-C1", Text: "close me"})
	require.NoError(t, made.Err)
	for range 2 {
		closed := one(t, account, deal, crm.Effect{Kind: crm.CloseTask, Reference: "DP-C1", Text: "done", RemoteID: made.RemoteID})
		require.NoError(t, closed.Err)
		require.Equal(t, made.RemoteID, closed.RemoteID)
		require.True(t, f.View(deal).Tasks[0].Done)
	}
	require.Len(t, f.View(deal).Tasks, 1)

	// A closed task is still found: an ambiguous run of its making does not make another.
	again := one(t, account, deal, crm.Effect{Kind: crm.Task, Reference: "DP-C1", Text: "close me", Ambiguous: true})
	require.NoError(t, again.Err)
	require.Equal(t, made.RemoteID, again.RemoteID)
	require.Len(t, f.View(deal).Tasks, 1)

	unknown := one(t, account, deal, crm.Effect{Kind: crm.CloseTask, Reference: "DP-C2", RemoteID: "987654321"})
	requireClass(t, crm.Gone, unknown.Err)
}

func ambiguous(t *testing.T, f Fixture) {
	account, deal := ready(t, f.Site), f.Deals[0]
	for _, c := range []struct {
		effect crm.Effect
		call   string
	}{
		{crm.Effect{Kind: crm.Note, Reference: "DP-A1", Text: "note DP-A1"}, f.NoteCall},
		{crm.Effect{Kind: crm.Task, Reference: "DP-A2", Text: "task DP-A2"}, f.TaskCall},
	} {
		require.NoError(t, f.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: c.call}))
		first := one(t, account, deal, c.effect)
		e := requireClass(t, crm.Transient, first.Err)
		require.True(t, e.Ambiguous, "the answer was lost after the work was done: %v", e)

		c.effect.Ambiguous = true
		var ids []string
		for range 2 {
			again := one(t, account, deal, c.effect)
			require.NoError(t, again.Err)
			ids = append(ids, again.RemoteID)
		}
		require.NotEmpty(t, ids[0])
		require.Equal(t, ids[0], ids[1])
	}
	view := f.View(deal)
	require.Len(t, view.Notes, 1)
	require.Len(t, view.Tasks, 1)

	// Nothing was done before: looking first does not keep it from being done, beside others of the same batch.
	got := account.Apply(t.Context(), []crm.Change{
		{Deal: deal, Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-A3", Text: "DP-A3", Ambiguous: true}},
		{Deal: f.Deals[1], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-A1", Text: "DP-A1", Ambiguous: true}},
		{Deal: f.Gone, Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-A5", Text: "DP-A5", Ambiguous: true}},
		{Deal: deal, Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-A4", Text: "DP-A4", Ambiguous: true}},
	})
	require.Len(t, got, 4)
	requireClass(t, crm.Gone, got[2].Err)
	requireDone(t, append(got[:2:2], got[3]), 3)
	requireOne(t, f.View(deal).Notes, "DP-A3", got[0].RemoteID)
	requireOne(t, f.View(f.Deals[1]).Notes, "DP-A1", got[1].RemoteID)
	require.Len(t, f.View(deal).Tasks, 2)

	// A dropped write of fields is simply repeated.
	require.NoError(t, f.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit}))
	lost := account.Apply(t.Context(), []crm.Change{{Deal: deal, State: ptr(full())}})
	require.Equal(t, crm.Transient, crm.ClassOf(lost[0].Err))
	require.Error(t, errors.Unwrap(lost[0].Err))
	write(t, account, deal, full())
}
