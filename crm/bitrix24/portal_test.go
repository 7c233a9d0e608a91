package bitrix24_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/tenants/standintest"
)

const acme = "acme.bitrix24.com"

// installed is a portal with our application, set up.
func installed(t *testing.T) (standIn, *bitrix24test.Portal, *bitrix24.Account) {
	s := start(t)
	site, portal := s.site(t, acme), s.Portal(acme)
	portal.InstallForm()
	layout, err := site.Open(nil).Setup(t.Context())
	require.NoError(t, err)
	portal.FinishInstall()
	return s, portal, site.Open(layout).(*bitrix24.Account)
}

func (s standIn) guard() *bitrix24.Guard {
	return &bitrix24.Guard{ClientID: clientID, HTTP: s.client, AuthServers: []string{"http://" + bitrix24test.AuthHost + s.suffix},
		AllowHost: func(host string) bool { return strings.HasSuffix(host, ".bitrix24.com.localhost") }}
}

func asRequest(f bitrix24test.Form) *http.Request {
	return httptest.NewRequest(http.MethodPost, f.URL, strings.NewReader(f.Body.Encode()))
}

func TestTheGuardBelievesThePortal(t *testing.T) {
	s, portal, _ := installed(t)
	for user, want := range map[string]struct{ admin, sees bool }{"1": {true, true}, "2": {false, true}, "3": {false, false}} {
		form, err := portal.CardForm(user, "4")
		require.NoError(t, err)
		v, err := s.guard().Visit(t.Context(), asRequest(form))
		require.NoError(t, err)
		require.Equal(t, user, v.UserID)
		require.Equal(t, want.admin, v.Admin)
		require.Equal(t, "4", v.DealID)
		require.Equal(t, want.sees, v.DealSeen)
		require.Equal(t, portal.MemberID(), v.AccountKey)
		require.Equal(t, portal.AppToken(), v.Grant.AppToken)
		require.Equal(t, acme+s.suffix, v.Domain)
		require.Equal(t, s.rest(acme), v.Grant.Endpoint)
	}
	form := portal.InstallForm()
	v, err := s.guard().Visit(t.Context(), asRequest(form))
	require.NoError(t, err)
	require.True(t, v.Admin)
	require.Equal(t, "DEFAULT", v.Placement)

	stolen, err := portal.CardForm("1", "4")
	require.NoError(t, err)
	stolen.Body.Set("member_id", s.Portal("other.bitrix24.com").MemberID())
	_, err = s.guard().Visit(t.Context(), asRequest(stolen))
	require.ErrorIs(t, err, crm.ErrForged)
	portal.Revoke()
	_, err = s.guard().Visit(t.Context(), asRequest(form))
	require.ErrorIs(t, err, crm.ErrForged)
}

func TestEventsOfThePortalAreRead(t *testing.T) {
	s, portal, account := installed(t)
	next := func(kind crm.EventKind) crm.Event {
		t.Helper()
		for {
			select {
			case e := <-s.events:
				if e.Kind == kind {
					return e
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("no event %s", kind)
			}
		}
	}
	require.NoError(t, portal.Edit("5", map[string]any{"TITLE": "Changed"}))
	require.Equal(t, crm.Event{Kind: crm.DealChanged, DealID: "5", AccountKey: portal.MemberID(), AppToken: portal.AppToken()}, next(crm.DealChanged))
	require.NoError(t, portal.Move("5", "C1:WON")) // sends ONCRMDEALMOVETOCATEGORY only
	require.Equal(t, "5", next(crm.DealChanged).DealID)
	require.NoError(t, portal.Delete("5"))
	require.Equal(t, "5", next(crm.DealDeleted).DealID)
	_, err := account.Deal(t.Context(), "5")
	require.Equal(t, crm.Gone, crm.ClassOf(err))
	token := portal.AppToken()
	portal.Uninstall(true)
	gone := next(crm.Uninstalled)
	require.True(t, gone.Clean)
	require.Equal(t, token, gone.AppToken)
}

func TestAnEarlierNoteIsFoundBehindManyOthers(t *testing.T) {
	_, portal, account := installed(t)
	note := func(ref string, ambiguous bool) crm.Change {
		return crm.Change{Deal: "1", Effect: &crm.Effect{Kind: crm.Note, Reference: ref, Text: "paid", Ambiguous: ambiguous}}
	}
	first := account.Apply(t.Context(), []crm.Change{note("DP-FIRST", false)})
	require.NoError(t, first[0].Err)
	var more []crm.Change
	for i := range 130 {
		more = append(more, note(fmt.Sprintf("DP-FIRST%d", i), false))
	}
	for _, v := range account.Apply(t.Context(), more) {
		require.NoError(t, v.Err)
	}
	again := account.Apply(t.Context(), []crm.Change{note("DP-FIRST", true)})
	require.Equal(t, first[0], again[0])
	deal, _ := portal.Deal("1")
	require.Len(t, deal.Notes, 131)
}

func TestAPartOfManyChangesMayBeLost(t *testing.T) {
	_, portal, account := installed(t)
	var changes []crm.Change
	for i := range 75 {
		changes = append(changes, crm.Change{Deal: "1", Effect: &crm.Effect{Kind: crm.Note, Reference: fmt.Sprintf("DP-L%d", i), Text: "note"}})
	}
	require.NoError(t, portal.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit}))
	for i, v := range account.Apply(t.Context(), changes) {
		var e *crm.Error
		require.ErrorAs(t, v.Err, &e)
		require.Equal(t, crm.Transient, e.Class)
		require.Equal(t, i < 50, e.Ambiguous, "only what was sent may have been done")
		changes[i].Effect.Ambiguous = e.Ambiguous
	}
	for _, v := range account.Apply(t.Context(), changes) {
		require.NoError(t, v.Err)
	}
	deal, _ := portal.Deal("1")
	require.Len(t, deal.Notes, 75)
}

func TestPlanAndLimitsAreRead(t *testing.T) {
	s, portal, account := installed(t)
	info, err := account.Info(t.Context())
	require.NoError(t, err)
	require.True(t, info.Installed)
	require.False(t, info.Enterprise)
	require.False(t, info.Expired)
	portal.SetPlan(bitrix24test.Enterprise)
	info, err = account.Info(t.Context())
	require.NoError(t, err)
	require.True(t, info.Enterprise)

	portal.SetCost("crm.item.get", 300*time.Second)
	site := s.site(t, acme)
	costly := site.Open(nil)
	for range 2 { // contact and deal are both crm.item.get
		_, err = costly.Deal(t.Context(), "1")
	}
	require.Equal(t, crm.Throttled, crm.ClassOf(err))
	_, err = costly.Pipelines(t.Context())
	require.NoError(t, err, "other methods go on")
	told := site.Pacer.Told()
	require.GreaterOrEqual(t, told[0].Operating["crm.item.get"], 600*time.Second)
	require.WithinDuration(t, portal.Control.Clock.Now().Add(10*time.Minute), told[0].OperatingResetAt["crm.item.get"], time.Minute)
}

func TestARenamedPortalIsFollowed(t *testing.T) {
	s, portal, _ := installed(t)
	moved := ""
	account := bitrix24.New(bitrix24.Config{Endpoint: s.rest(acme), HTTP: s.client, Tokens: s.site(t, acme).Tokens,
		Moved: func(_ context.Context, endpoint string) error {
			moved = endpoint
			return nil
		}})
	portal.Rename("renamed.bitrix24.com")
	deal, err := account.Deal(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "Order 1001", deal.Title)
	require.Equal(t, s.rest("renamed.bitrix24.com"), moved)
}

func TestHandlersThatMovedAreBoundAnew(t *testing.T) {
	s, portal, _ := installed(t)
	account := bitrix24.New(bitrix24.Config{Endpoint: s.rest(acme), HTTP: s.client, Tokens: s.site(t, acme).Tokens,
		Handlers: bitrix24.Handlers{Card: "http://new.localhost/bitrix24/card", Events: "http://new.localhost/bitrix24/events"}})
	_, err := account.Setup(t.Context())
	require.NoError(t, err)
	state := portal.State()
	require.NotEmpty(t, state.Placements)
	for _, bound := range append(state.Placements, state.Handlers...) {
		require.Contains(t, bound["handler"], "http://new.localhost/")
	}
}
