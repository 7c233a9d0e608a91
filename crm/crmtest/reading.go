package crmtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

func requireClass(t *testing.T, want crm.Class, err error) *crm.Error {
	t.Helper()
	var e *crm.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want.String(), e.Class.String(), "%v", err)
	return e
}

func dealRead(t *testing.T, f Fixture) {
	want := f.Known
	want.Written = crm.State{Pipeline: want.Pipeline, Stage: want.Stage}
	for name, account := range map[string]crm.Account{"before Setup": f.Open(nil), "after Setup": ready(t, f.Site)} {
		deal, err := account.Deal(t.Context(), f.Deals[0])
		require.NoError(t, err, name)
		require.Equal(t, want, deal, name)
	}
}

// dealsRead reads many deals at once: the same as one by one, without contacts and without those that are gone.
func dealsRead(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	reader, ok := account.(crm.DealsReader)
	if !ok {
		return // such an account is asked one by one
	}
	before := f.Calls()
	deals, err := reader.Deals(t.Context(), append([]string{f.Gone, "", "no id"}, f.Deals...))
	require.NoError(t, err)
	require.LessOrEqual(t, f.Calls()-before, 2, "one request, and one for the account's currency")
	require.Len(t, deals, len(f.Deals))
	for _, id := range f.Deals {
		want, err := account.Deal(t.Context(), id)
		require.NoError(t, err)
		require.NotEmpty(t, want.Contact.Key)
		want.Contact = crm.Contact{Key: want.Contact.Key}
		require.Equal(t, want, deals[id])
	}
	none, err := reader.Deals(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func dealGone(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	for _, id := range []string{f.Gone, "", "no id"} {
		_, err := account.Deal(t.Context(), id)
		requireClass(t, crm.Gone, err)
	}
}

func pipelines(t *testing.T, f Fixture) {
	all, err := f.Open(nil).Pipelines(t.Context())
	require.NoError(t, err)
	kinds := map[Place]crm.StageKind{}
	for _, p := range all {
		require.NotEmpty(t, p.Name)
		require.NotEmpty(t, p.Stages, p.Name)
		closed := false
		for _, s := range p.Stages {
			require.NotEmpty(t, s.Name)
			require.False(t, closed && s.Kind == crm.StageOpen, "open stages come first: %v", p.Stages)
			closed = s.Kind != crm.StageOpen
			kinds[Place{p.ID, s.ID}] = s.Kind
		}
	}
	require.Equal(t, f.Known.Closed, kinds[Place{f.Known.Pipeline, f.Known.Stage}] != crm.StageOpen)
	for _, p := range f.Move {
		require.Contains(t, kinds, p)
	}
}

func dealAs(t *testing.T, f Fixture) {
	reader, ok := ready(t, f.Site).(crm.UserReader)
	if !ok {
		return // the guard of such a CRM reads the deal with the visitor's own token
	}
	deal, err := reader.DealAs(t.Context(), f.Manager, f.Deals[0])
	require.NoError(t, err)
	require.Equal(t, f.Known.Title, deal.Title)
	_, err = reader.DealAs(t.Context(), f.Outsider, f.Deals[0])
	requireClass(t, crm.Refused, err)
	_, err = reader.DealAs(t.Context(), f.Manager, f.Gone)
	requireClass(t, crm.Gone, err)
}
