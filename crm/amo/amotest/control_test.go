package amotest_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
)

func (f *fixture) order(path, body string) result {
	return f.do("", "POST", f.url("/_control/"+path), body)
}

func TestControlActsAsPeopleDo(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	require.Equal(t, http.StatusOK, f.order("leads/edit", `{"lead":"1","price":10.5,"name":"New name"}`).status)
	require.Equal(t, http.StatusOK, f.order("leads/move", `{"lead":2,"pipeline":"8000001","status":"142"}`).status)
	require.Equal(t, http.StatusOK, f.order("leads/delete", `{"lead":"3"}`).status)
	require.Equal(t, http.StatusUnprocessableEntity, f.order("leads/delete", `{"lead":"3"}`).status)
	require.Equal(t, http.StatusOK, f.order("install", `{}`).status)
	require.Equal(t, http.StatusOK, f.order("uninstall", `{"signature":"bad"}`).status)
	require.Len(t, f.received("/amocrm/uninstall"), 1)
	token := f.order("token", `{"user":"7000002"}`)
	require.NotEmpty(t, token.body["access_token"])
	require.NotEmpty(t, token.body["one_time_token"])
	state := f.do("", "GET", f.url("/_control/state"), "")
	var got amotest.State
	require.NoError(t, json.Unmarshal([]byte(state.raw), &got))
	require.Len(t, got.Deals, amotest.Leads-1)
	require.Equal(t, "10.50", got.Deals[0].Amount)
	require.Equal(t, "142", got.Deals[1].Stage)
	require.True(t, got.Installed)
	require.Equal(t, false, f.do("", "GET", f.url("/_control/archive"), "").body["ok"])
}

func TestResetBringsTheSeedBack(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	before := f.account.State()
	token := f.account.TokenFor(amotest.AdminID)
	f.subscribe(`"update_lead"`)
	require.NoError(t, f.account.Delete("1"))
	require.Equal(t, http.StatusOK, f.order("switches", `{"deleted_get":404,"shuffle":false}`).status)
	old := f.account.URL()
	require.Equal(t, "other.kommo.com", f.order("rename", `{"subdomain":"other"}`).body["host"])
	require.Nil(t, f.server.Account("acme"))
	answer := f.do("", "POST", old+"/_control/reset", "{}")
	require.Equal(t, http.StatusOK, answer.status, "the control API stays at the old host")
	require.Equal(t, before.Deals, f.account.State().Deals)
	require.Equal(t, http.StatusOK, f.do(token, "GET", f.url("/api/v4/account"), "").status, "who is connected stays connected")
}

func TestRequestsAreLoggedWithTheirStatus(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	f.api("GET", "leads/1", "")
	got := f.account.Control.Requests()
	require.Len(t, got, 1)
	require.Equal(t, "/api/v4/leads/1", got[0].Path)
	require.Equal(t, http.StatusOK, got[0].Status)
	require.WithinDuration(t, time.Now(), got[0].At, time.Minute)
}
