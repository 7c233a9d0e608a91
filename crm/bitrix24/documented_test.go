package bitrix24

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

// documented reads a payload that the vendor's documentation shows.
func documented(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "fixtures", "bitrix24", name))
	if err != nil {
		t.Skip("the documented payloads are not beside this checkout")
	}
	return raw
}

// result is what a documented answer carries.
func result(t *testing.T, name string) json.RawMessage {
	t.Helper()
	var e envelope
	require.Nil(t, open(reply{status: http.StatusOK, body: documented(t, name)}, name, &e))
	return e.Result
}

func TestDocumentedItemsAreRead(t *testing.T) {
	deal, err := parseDeal(result(t, "crm.item.update.response.json"), layout{})
	require.NoError(t, err)
	require.Equal(t, "351", deal.ID)
	require.Equal(t, crm.Money{Decimal: "10000", Currency: "USD"}, deal.Amount)
	require.Equal(t, "9", deal.Pipeline)
	require.Equal(t, "C9:UC_NYL06U", deal.Stage)
	require.Equal(t, "6", deal.OwnerID)
	require.False(t, deal.Closed)

	lead, err := parseDeal(result(t, "crm.item.get.response.json"), layout{})
	require.NoError(t, err)
	require.Equal(t, crm.Money{Decimal: "999.9", Currency: "USD"}, lead.Amount)
	contact := parseContact(result(t, "crm.item.get.response.json")) // the lead's own person looks like a contact
	require.Equal(t, "+6111111111", contact.Phone)
	require.Equal(t, "admin@example.com", contact.Email)

	var e envelope
	fail := open(reply{status: http.StatusBadRequest, body: documented(t, "crm.item.get.error.response.json")}, "crm.item.get", &e)
	require.Equal(t, crm.Gone, fail.Class)
}

func TestDocumentedStagesAreRead(t *testing.T) {
	stages, err := parseStages(result(t, "crm.status.list.response.json"))
	require.NoError(t, err)
	kinds := map[string]crm.StageKind{}
	for _, s := range stages {
		kinds[s.ID] = s.Kind
	}
	require.Equal(t, "NEW", stages[0].ID)
	require.Equal(t, crm.StageOpen, kinds["EXECUTING"])
	require.Equal(t, crm.StageWon, kinds["WON"])
	require.Equal(t, crm.StageLost, kinds["APOLOGY"])
}

func TestDocumentedFieldIsRead(t *testing.T) {
	f, err := parseField(result(t, "userfieldconfig.add.response.json"))
	require.NoError(t, err)
	require.Equal(t, text("6953"), f.ID)
	require.Equal(t, text("UF_CRM_7_NEW_REST_LIST_2026"), f.Name)
	require.Len(t, f.Enum, 2)
	require.Equal(t, text("3363"), f.Enum[0].ID)
}

func TestDocumentedIDsAreRead(t *testing.T) {
	id, fail := remoteID("note", result(t, "crm.timeline.comment.add.response.json"))
	require.Nil(t, fail)
	require.Equal(t, "999", id)
	var made object
	require.NoError(t, json.Unmarshal(result(t, "crm.activity.todo.add.response.json"), &made))
	require.Equal(t, "999", made.text("id"))
	var placements []placement
	require.NoError(t, json.Unmarshal(result(t, "placement.get.response.json"), &placements))
	require.NotEmpty(t, placements[0].Handler)
	var bound []binding
	require.NoError(t, json.Unmarshal(result(t, "event.get.response.json"), &bound))
	require.Equal(t, text("https://www.my-domain.com/handler/"), bound[0].Handler)
	require.False(t, bound[0].Offline.yes())
}

func TestDocumentedBatchIsRead(t *testing.T) {
	raw := strings.NewReplacer("get_user", "c00", "get_department", "c01").Replace(string(documented(t, "batch.response.json")))
	account := New(Config{})
	got, p, fail := account.read(reply{status: http.StatusOK, body: []byte(raw)}, []command{{method: "user.current"}, {method: "department.get"}, {method: "profile"}})
	require.Nil(t, fail)
	require.Nil(t, got[0].err)
	require.Nil(t, got[1].err)
	require.Equal(t, "NO_ANSWER", got[2].err.Code)
	require.Empty(t, p.Operating, "old samples carry no operating time")
}

func TestDocumentedEventsAreRead(t *testing.T) {
	for name, want := range map[string]crm.Event{
		"oncrmdealupdate.event.form": {Kind: crm.DealChanged, DealID: "759", AppToken: "51856fefc120afa4b628cc82d3935cce"},
		"oncrmdealdelete.event.form": {Kind: crm.DealDeleted, DealID: "1765", AppToken: "51856fefc120afa4b628cc82d3935cce"},
		"onappinstall.event.form":    {Kind: crm.AppChanged, AppToken: "51856fefc120afa4b628cc82d3935cce"},
		"onapppayment.event.form":    {Kind: crm.AppChanged},
		"onappupdate.event.form":     {Kind: crm.AppChanged, AccountKey: "d41d8cd98f00b204e9800998ecf8427e", AppToken: "c917d38f6bdb84e9d9e0bfe9d585be73"},
		"oncrmdealadd.event.form":    {Kind: crm.DealChanged, DealID: "7405", AccountKey: "d897063e1ce7c5eb9f04b9751eef5915", AppToken: "51856fefc120afa4b628cc82d3935cce"},
	} {
		if want.AccountKey == "" {
			want.AccountKey = "a223c6b3710f85df22e9377d6c4f7553"
		}
		got, err := ParseEvent(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(documented(t, name)))))
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}

func TestDocumentedEventsOfOtherThingsAreRefused(t *testing.T) {
	for _, name := range []string{"oncrmdynamicitemupdate.event.form", "onpaymententitysaved.event.form"} {
		_, err := ParseEvent(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(documented(t, name)))))
		require.ErrorIs(t, err, ErrEvent, name)
	}
}

func TestDocumentedRefusalsArePermanent(t *testing.T) {
	for name, status := range map[string]int{"app.info.error.response.json": 400, "error.envelope.response.json": 400,
		"event.bind.error.response.json": 400, "placement.unbind.error.response.json": 403} {
		var e envelope
		require.Equal(t, crm.Refused, open(reply{status: status, body: documented(t, name)}, name, &e).Class, name)
	}
}

// shown is a portal that answers every command of a batch as the documentation shows it.
func shown(t *testing.T) *Account {
	t.Helper()
	documented(t, "batch.response.json")
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Cmd map[string]string }
		require.NoError(t, json.NewDecoder(r.Body).Decode(&in))
		results := map[string]json.RawMessage{}
		for key, command := range in.Cmd {
			method, _, _ := strings.Cut(command, "?")
			results[key] = result(t, method+".response.json")
		}
		require.NoError(t, json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{"result": results, "result_error": []any{}}}))
	}))
	t.Cleanup(portal.Close)
	return New(Config{Endpoint: portal.URL + "/rest/", HTTP: portal.Client(), Tokens: token("t")})
}

type token string

func (t token) Token(context.Context) (string, error)           { return string(t), nil }
func (t token) Refresh(context.Context, string) (string, error) { return string(t), nil }

func TestDocumentedAnswersAreRead(t *testing.T) {
	account := shown(t)
	info, err := account.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, Info{Version: 4, Status: "F", Installed: true, License: "de_ent10000", Enterprise: true, Lang: "de"}, info)
	pipelines, err := account.Pipelines(t.Context())
	require.NoError(t, err)
	require.Len(t, pipelines, 4)
	require.Equal(t, "0", pipelines[3].ID, "by their sort")
	require.NotEmpty(t, pipelines[0].Stages)
	deals, err := account.Deals(t.Context(), []string{"253", "255"})
	require.NoError(t, err)
	require.Equal(t, "19000", deals["253"].Amount.Decimal)
	require.NoError(t, account.AnswerRobot(t.Context(), "token", map[string]string{"link": "x"}, "done"))

	var user object
	require.NoError(t, json.Unmarshal(result(t, "profile.response.json"), &user))
	require.Equal(t, "1", user.text("ID"))
	require.True(t, text(user.text("ADMIN")).yes())
}

// TestOurRulesLookLikeTheDocumentedOne compares what we register with the documented request: every key of ours that it
// has is of the same kind.
func TestOurRulesLookLikeTheDocumentedOne(t *testing.T) {
	var sample struct {
		Use        string                       `json:"USE_SUBSCRIPTION"`
		Properties map[string]map[string]string `json:"PROPERTIES"`
		Filter     map[string][][]string        `json:"FILTER"`
	}
	require.NoError(t, json.Unmarshal(documented(t, "bizproc.robot.add.request.json"), &sample))
	for _, r := range rules {
		q, err := url.ParseQuery(r.fields("https://pay.example.com/bitrix24/robots").encode())
		require.NoError(t, err)
		require.Equal(t, sample.Use, q.Get("USE_SUBSCRIPTION"))
		for i, part := range sample.Filter["INCLUDE"][0] {
			require.Equal(t, part, q.Get(fmt.Sprintf("FILTER[INCLUDE][0][%d]", i)))
		}
		for id := range r.asks {
			for key := range map[string]bool{"Name": true, "Type": true} {
				require.Contains(t, sample.Properties["text"], key)
			}
			require.NotEmpty(t, q.Get("PROPERTIES["+id+"][Name][en]"))
			require.NotEmpty(t, q.Get("PROPERTIES["+id+"][Type]"))
		}
	}
}

func TestDocumentedOpeningIsRead(t *testing.T) {
	query := documented(t, "placement.crm_deal_detail_tab.query.form")
	body := documented(t, "placement.crm_deal_detail_tab.body.form")
	o, err := readOpening(httptest.NewRequest(http.MethodPost, "/?"+string(query), strings.NewReader(string(body))))
	require.NoError(t, err)
	require.Equal(t, "8061", o.Deal)
	require.Equal(t, "xxx.bitrix24.com", o.Domain)
	require.Equal(t, "https://oauth.bitrix.info", o.Server)
	require.Equal(t, time.Hour, o.Expires)
	require.Equal(t, "d897063e1ce7c5eb9f04b9751eef5915", o.Member)
	require.Equal(t, "ec1b2074a9d3f5c81b6e40d27a95cf38", o.AppToken)
}
