package crmtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

// ready runs Setup and opens the account again with its layout, as callers do.
func ready(t *testing.T, s Site) crm.Account {
	t.Helper()
	layout, err := s.Open(nil).Setup(t.Context())
	require.NoError(t, err)
	return s.Open(layout)
}

func setup(t *testing.T, f Fixture) {
	first, err := f.Open(nil).Setup(t.Context())
	require.NoError(t, err)
	made := f.Registered()
	require.NotEmpty(t, made)

	for _, kept := range []crm.Layout{first, nil} { // nil: the layout was lost, the account still has everything
		again, err := f.Open(kept).Setup(t.Context())
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(again))
		require.ElementsMatch(t, made, f.Registered())
	}

	f.Drift()
	require.NotEqual(t, len(made), len(f.Registered()), "the fixture's Drift took nothing away")
	repaired, err := f.Open(first).Setup(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, made, f.Registered())
	write(t, f.Open(repaired), f.Deals[0], full())
	require.Equal(t, neutral(full()), shown(f.View(f.Deals[0])))
}

func leave(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	write(t, account, f.Deals[0], full())
	require.NoError(t, account.Leave(t.Context()))
	require.Empty(t, f.Registered())
	require.NoError(t, account.Leave(t.Context()))
	require.Equal(t, neutral(full()), shown(f.View(f.Deals[0])), "fields with history stay")
	require.NoError(t, f.Open(nil).Leave(t.Context()), "without a layout as well")

	write(t, ready(t, f.Site), f.Deals[0], full())
	require.NotEmpty(t, f.Registered(), "installing again works")
}

func isolated(t *testing.T, f Fixture) {
	account, other := ready(t, f.Site), ready(t, f.Other)
	before, registered := f.Other.View(f.Deals[0]), f.Other.Registered()
	verdicts := account.Apply(t.Context(), []crm.Change{
		{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Deals[0], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-ISO1", Text: "note DP-ISO1"}},
	})
	requireDone(t, verdicts, 2)
	require.NoError(t, account.Leave(t.Context()))
	require.Equal(t, before, f.Other.View(f.Deals[0]))
	require.ElementsMatch(t, registered, f.Other.Registered())

	deal, err := other.Deal(t.Context(), f.Deals[0])
	require.NoError(t, err)
	require.Empty(t, deal.Written.Status)
	require.Zero(t, f.Other.Tokens.Refreshes())
}
