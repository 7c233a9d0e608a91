package amo

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

func TestRightsDecideWhoSeesALead(t *testing.T) {
	l := lead{ID: "1", Responsible: "7", Group: "3", Pipeline: "10", Status: "142"}
	user := func(id string, letter, group scalar, by ...statusView) User {
		return User{ID: id, Active: true, rights: rights{Leads: view{letter}, Group: group, ByStatus: by}}
	}
	hidden := statusView{Entity: "leads", Pipeline: "10", Status: "142", Rights: view{"D"}}
	shown := statusView{Entity: "leads", Pipeline: "10", Status: "142", Rights: view{"A"}}
	elsewhere := statusView{Entity: "leads", Pipeline: "11", Status: "142", Rights: view{"D"}}
	for name, c := range map[string]struct {
		user User
		want bool
	}{
		"all":                            {user("8", "A", ""), true},
		"none":                           {user("7", "D", "3"), false},
		"nothing said":                   {user("7", "", "3"), false},
		"own":                            {user("7", "M", ""), true},
		"own, but another's lead":        {user("8", "M", "3"), false},
		"the group's":                    {user("8", "G", "3"), true},
		"another group's":                {user("8", "G", "4"), false},
		"the group's, no group":          {user("8", "G", ""), false},
		"own in another group":           {user("7", "G", "4"), true},
		"hidden in this stage":           {user("7", "A", "3", hidden), false},
		"shown in this stage":            {user("8", "D", "", shown), true},
		"hidden in another stage":        {user("8", "A", "", elsewhere), true},
		"an administrator":               {User{ID: "8", Active: true, Admin: true}, true},
		"an administrator without entry": {User{ID: "8", Admin: true}, false},
	} {
		require.Equal(t, c.want, c.user.sees(l), name)
	}
	first := lead{ID: "2", Responsible: "7", Group: "0"}
	require.True(t, user("8", "G", "").sees(first), "users outside every group are in the first one")
}

// documented serves documented examples under their paths.
func documented(t *testing.T, files map[string]string) *odd {
	t.Helper()
	o := &odd{}
	bodies := map[string]string{}
	for path, name := range files {
		bodies[path] = string(fixture(t, name))
	}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			reply(w, 404, `{"title": "Not Found", "status": 404}`)
			return
		}
		reply(w, 200, body)
	}
	return o
}

func TestDocumentedAnswersAreRead(t *testing.T) {
	a := documented(t, map[string]string{"/api/v4/account": "kommo/account.get.200.json", "/api/v4/users/123423": "amocrm/user.get.200.json",
		"/api/v4/leads/3912171": "amocrm/lead.get.200.json", "/api/v4/contacts/10971465": "amocrm/contact.get.200.json",
		"/api/v4/leads/1": "amocrm/lead.get.minor-units.200.json", "/api/v4/leads/pipelines": "amocrm/pipelines.list.200.json"}).open(t, nil)

	info, err := a.AccountInfo(t.Context())
	require.NoError(t, err)
	require.Equal(t, AccountInfo{ID: "123123123", Subdomain: "yourdomain", Name: "yourname", Currency: "EUR", Country: "NL",
		UserID: "185848", UserName: info.UserName, Lang: "ru"}, info)

	d, err := a.Deal(t.Context(), "3912171")
	require.NoError(t, err)
	require.Equal(t, crm.Money{Decimal: "12.00", Currency: "EUR"}, d.Amount)
	require.True(t, d.Closed)
	require.Equal(t, "+79123", d.Contact.Phone)
	require.Empty(t, d.Written.Status)

	exact, err := a.Deal(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "300.99", exact.Amount.Decimal, "the exact price goes before the whole one")

	all, err := a.Pipelines(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Len(t, all[0].Stages, 4, "without the incoming leads")
	require.Equal(t, crm.Stage{ID: "142", Name: "Успешно реализовано", Kind: crm.StageWon}, all[0].Stages[2])
	require.Equal(t, crm.StageLost, all[0].Stages[3].Kind)

	// The documented user sees only own leads, and none of this one's stage at all.
	_, err = a.DealAs(t.Context(), "123423", "3912171")
	require.Equal(t, crm.Refused, crm.ClassOf(err))
}

func TestDocumentedWritesAreUnderstood(t *testing.T) {
	o := documented(t, map[string]string{"/api/v4/leads": "amocrm/leads.patch.200.json", "/api/v4/leads/notes": "amocrm/notes.post.200.json",
		"/api/v4/tasks": "amocrm/tasks.post.200.json", "/oauth2/account/current/subdomain": "amocrm/oauth.current-subdomain.200.json",
		"/api/v4/webhooks": "amocrm/webhooks.list.200.json"})
	a := o.open(t, func(c *Config) { c.APIDomain = "api-b.amocrm.ru.localhost" })
	task := func(deal string) crm.Change {
		return crm.Change{Deal: deal, Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-1", Text: "Look", OwnerID: "7"}}
	}
	got := a.Apply(t.Context(), []crm.Change{{Deal: "54886", State: &crm.State{Link: "https://pay.example.com/p/1"}}, {Deal: "54884", State: &crm.State{}},
		task("54886"), task("54884")})
	require.Equal(t, []crm.Verdict{{}, {}, {RemoteID: "4745251"}, {RemoteID: "4747929"}}, got)
	note := a.Apply(t.Context(), []crm.Change{{Deal: "8694432", Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-2", Text: "Paid"}}})
	require.Error(t, note[0].Err, "the documented answer is to another request id than ours: nothing is taken for an answer that does not name it")
	domain, err := a.CurrentDomain(t.Context(), "refresh")
	require.NoError(t, err)
	require.Equal(t, "example.amocrm.ru", domain)
	hooks, err := a.webhooks(t.Context(), "https://api.test.ru/amoWebHook")
	require.NoError(t, err)
	require.Len(t, hooks, 1)
	require.False(t, hooks[0].works(), "it was switched off")
}

func TestAnOldAccountMayNotSayItsCurrencyOrTimezone(t *testing.T) {
	a := documented(t, map[string]string{"/api/v4/account": "amocrm/account.get.200.json", "/api/v4/users/581651": "amocrm/user.get.200.json"}).open(t, nil)
	info, err := a.AccountInfo(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Europe/Moscow", info.Timezone)
	require.Empty(t, info.Currency)
}

func TestTheCRMIsAskedToApplyTheUsersRights(t *testing.T) {
	asked := ""
	o := &odd{}
	o.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/users/7"):
			reply(w, 200, `{"id": 7, "rights": {"leads": {"view": "A"}, "is_active": true}}`)
		case strings.HasSuffix(r.URL.Path, "/leads/1"):
			asked = r.Header.Get("X-Context-User-ID")
			reply(w, 401, `{"title": "Unauthorized"}`)
		}
	}
	_, err := o.open(t, nil).DealAs(t.Context(), "7", "1")
	require.Equal(t, crm.Refused, crm.ClassOf(err), "the user was refused; the account is still ours")
	require.Equal(t, "7", asked)
	_, err = o.open(t, nil).DealAs(t.Context(), "nobody", "1")
	require.Equal(t, crm.Refused, crm.ClassOf(err))
}
