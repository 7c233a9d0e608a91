package crmtest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// both reads a deal and writes two, each under a fault of its own, and returns the three errors.
func both(t *testing.T, f Fixture, kind standintest.Kind) []error {
	t.Helper()
	account := ready(t, f.Site)
	fault := func() { require.NoError(t, f.Control.Order(standintest.Fault{Kind: kind})) }
	fault()
	_, read := account.Deal(t.Context(), f.Deals[0])
	fault()
	got := account.Apply(t.Context(), []crm.Change{{Deal: f.Deals[0], State: ptr(full())}, {Deal: f.Deals[1], State: ptr(full())}})
	require.Len(t, got, 2, "every change has its verdict")
	require.Empty(t, shown(f.View(f.Deals[0])), "nothing was written")

	requireDone(t, account.Apply(t.Context(), []crm.Change{{Deal: f.Deals[0], State: ptr(full())}}), 1)
	return []error{read, got[0].Err, got[1].Err}
}

func throttled(t *testing.T, f Fixture) {
	for _, err := range both(t, f, standintest.Throttle) {
		e := requireClass(t, crm.Throttled, err)
		require.False(t, e.Ambiguous, "a throttled call was not executed")
		require.GreaterOrEqual(t, e.RetryAfter, f.RetryAfter)
	}
	told := 0
	for _, p := range f.Pacer.Told() {
		if p.Throttled {
			told++
			require.GreaterOrEqual(t, p.RetryAfter, f.RetryAfter)
		}
	}
	require.Equal(t, 2, told, "the pacer hears of each throttled request")
}

func down(t *testing.T, f Fixture) {
	for _, err := range both(t, f, standintest.Down) {
		requireClass(t, crm.Transient, err)
	}
	for _, p := range f.Pacer.Told() {
		require.False(t, p.Throttled || p.Blocked)
	}
}

func blocked(t *testing.T, f Fixture) {
	for _, err := range both(t, f, standintest.HTMLError) {
		require.Contains(t, []crm.Class{crm.Transient, crm.Throttled}, crm.ClassOf(err), "%v", err)
	}
	told := 0
	for _, p := range f.Pacer.Told() {
		if p.Blocked {
			told++
		}
	}
	want := 0
	if f.Shuts {
		want = 2
	}
	require.Equal(t, want, told)
}

func expired(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	f.Expire()
	_, err := account.Deal(t.Context(), f.Deals[0])
	require.NoError(t, err)
	require.Equal(t, 1, f.Tokens.Refreshes())
	f.Expire()
	got := account.Apply(t.Context(), []crm.Change{
		{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Deals[0], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-E1", Text: "DP-E1"}},
	})
	requireDone(t, got, 2)
	require.Equal(t, 2, f.Tokens.Refreshes())
	requireOne(t, f.View(f.Deals[0]).Notes, "DP-E1", got[1].RemoteID)
	_, err = account.Deal(t.Context(), f.Deals[0])
	require.NoError(t, err)
	require.Equal(t, 2, f.Tokens.Refreshes(), "a good token is not refreshed")
}

func revoked(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	require.NoError(t, f.Control.Order(standintest.Fault{Kind: standintest.Revoke, Count: -1}))
	_, err := account.Deal(t.Context(), f.Deals[0])
	requireClass(t, crm.Revoked, err)
	_, err = account.Setup(t.Context())
	requireClass(t, crm.Revoked, err)
	got := account.Apply(t.Context(), []crm.Change{
		{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Deals[0], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-R1", Text: "DP-R1", Ambiguous: true}},
		{Deal: f.Deals[1], Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-R2", Text: "DP-R2"}},
	})
	require.Len(t, got, 3)
	for _, v := range got {
		requireClass(t, crm.Revoked, v.Err)
	}
}

// repeated breaks a connection under a read: net/http may send it once more by itself.
func repeated(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	for range 3 {
		require.NoError(t, f.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit}))
		_, _ = account.Deal(t.Context(), f.Deals[0]) // whether it comes through does not matter here
	}
	require.Len(t, f.Pacer.Waits(), f.Calls())
}

func paced(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	_, err := account.Deal(t.Context(), f.Deals[0])
	require.NoError(t, err)
	_, err = account.Pipelines(t.Context())
	require.NoError(t, err)
	requireDone(t, account.Apply(t.Context(), []crm.Change{
		{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Deals[1], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-P1", Text: "DP-P1", Ambiguous: true}},
		{Deal: f.Deals[2], Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-P2", Text: "DP-P2"}},
	}), 3)
	require.NoError(t, account.Leave(t.Context()))
	require.Len(t, f.Pacer.Waits(), f.Calls(), "one Wait per request")
	for _, methods := range f.Pacer.Waits() {
		require.NotEmpty(t, methods)
	}
	require.Len(t, f.Pacer.Told(), f.Calls(), "one Seen per request")
}

func impatient(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	before := f.Calls()
	f.Pacer.Refuse(&crm.Error{Class: crm.Throttled, Op: "wait", RetryAfter: time.Minute, Err: errors.New("no room")})
	_, err := account.Deal(t.Context(), f.Deals[0])
	require.Equal(t, time.Minute, requireClass(t, crm.Throttled, err).RetryAfter)
	got := account.Apply(t.Context(), []crm.Change{{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Deals[0], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-W1", Text: "DP-W1"}}})
	require.Len(t, got, 2)
	for _, v := range got {
		require.Equal(t, time.Minute, requireClass(t, crm.Throttled, v.Err).RetryAfter)
	}
	require.Equal(t, before, f.Calls(), "nothing was sent")
}
