package bitrix24test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// batch sends cmd as a JSON object in the given order: pairs of key and command.
func (w *world) batch(token string, halt int, pairs ...string) map[string]any {
	w.Helper()
	parts := []string{}
	for i := 0; i < len(pairs); i += 2 {
		key, _ := json.Marshal(pairs[i])
		cmd, _ := json.Marshal(pairs[i+1])
		parts = append(parts, string(key)+":"+string(cmd))
	}
	body := fmt.Sprintf(`{"halt":%d,"auth":%q,"cmd":{%s}}`, halt, token, strings.Join(parts, ","))
	status, out := w.answer(w.client.Post("https://"+acme+"/rest/batch", "application/json", strings.NewReader(body)))
	require.Equal(w, 200, status, "%v", out)
	return out["result"].(map[string]any)
}

func TestBatchGoesOnAfterAnErrorAndReportsItByKey(t *testing.T) {
	w := newWorld(t)
	out := w.batch(w.admin(), 0, "a", "crm.item.update?entityTypeId=2&id=1&fields[title]=New+name",
		"b", "crm.item.get?entityTypeId=2&id=999", "c", "crm.item.get?entityTypeId=2&id=1")
	results := out["result"].(map[string]any)
	require.Len(t, results, 2)
	require.Equal(t, "New name", results["c"].(map[string]any)["item"].(map[string]any)["title"])
	require.Equal(t, map[string]any{"b": map[string]any{"error": "NOT_FOUND", "error_description": "Element not found"}}, out["result_error"])
	require.Equal(t, []any{}, out["result_total"], "an empty map is an empty list")
	require.Contains(t, out["result_time"].(map[string]any)["a"], "operating")
}

func TestBatchStopsAtTheFirstErrorWithHalt(t *testing.T) {
	w := newWorld(t)
	out := w.batch(w.admin(), 1, "a", "nonsense", "b", "crm.item.update?entityTypeId=2&id=1&fields[title]=Never")
	require.Equal(t, "ERROR_METHOD_NOT_FOUND", out["result_error"].(map[string]any)["a"].(map[string]any)["error"])
	require.Equal(t, []any{}, out["result"])
	d, _ := w.portal.Deal("1")
	require.Equal(t, "Order 1001", d.Title)
}

func TestBatchRunsInOrderAndResolvesReferences(t *testing.T) {
	w := newWorld(t)
	out := w.batch(w.admin(), 0, "z", "crm.item.list?entityTypeId=2&order[id]=DESC", "a", "crm.item.get?entityTypeId=2&id=$result[z][items][0][id]",
		"n", "crm.item.get?entityTypeId=2&id=$result[missing][id]")
	item := out["result"].(map[string]any)["a"].(map[string]any)["item"].(map[string]any)
	require.Equal(t, json.Number("20"), item["id"])
	require.Contains(t, out["result_error"], "n")
	require.Equal(t, json.Number("20"), out["result_total"].(map[string]any)["z"])
}

func TestBatchRefusesNestingAndTheFiftyFirstCommand(t *testing.T) {
	w := newWorld(t)
	pairs := []string{"nested", "batch?cmd[a]=profile"}
	for i := range 50 {
		pairs = append(pairs, fmt.Sprintf("c%02d", i), "server.time")
	}
	out := w.batch(w.admin(), 0, pairs...)
	errors := out["result_error"].(map[string]any)
	require.Equal(t, "ERROR_BATCH_METHOD_NOT_ALLOWED", errors["nested"].(map[string]any)["error"])
	require.Equal(t, "ERROR_BATCH_LENGTH_EXCEEDED", errors["c49"].(map[string]any)["error"])
	require.Len(t, out["result"], 49)
}

func TestBatchTakesFormsAndLists(t *testing.T) {
	w := newWorld(t)
	status, out := w.answer(w.client.PostForm("https://"+acme+"/rest/batch.json", url.Values{"auth": {w.admin()},
		"cmd[0]": {"user.admin"}, "cmd[1]": {"crm.item.update?" + url.Values{"entityTypeId": {"2"}, "id": {"1"}, "fields[title]": {"a&b=c"}}.Encode()}}))
	require.Equal(t, 200, status)
	results := out["result"].(map[string]any)["result"].([]any)
	require.Equal(t, true, results[0])
	d, _ := w.portal.Deal("1")
	require.Equal(t, "a&b=c", d.Title)
}

func TestFaultMatchesAMethodInsideABatchAndTheWriteIsKept(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: "crm.item.update"}))
	w.batch(w.admin(), 0, "a", "profile")
	_, err := w.client.PostForm("https://"+acme+"/rest/batch", url.Values{"auth": {w.admin()}, "cmd[a]": {"crm.item.update?entityTypeId=2&id=1&fields[title]=Kept"}})
	require.Error(t, err)
	d, _ := w.portal.Deal("1")
	require.Equal(t, "Kept", d.Title)
}

func TestUserWithoutRightsIsRefusedAsDocumented(t *testing.T) {
	w := newWorld(t)
	guest := w.portal.TokenFor("3").Access
	status, out := w.call(guest, "crm.item.get", map[string]any{"entityTypeId": 2, "id": 1})
	require.Equal(t, 400, status)
	require.Equal(t, "ACCESS_DENIED", out["error"])
	status, out = w.call(guest, "crm.deal.get", map[string]any{"id": 1})
	require.Equal(t, 400, status)
	require.Equal(t, "", out["error"])
	require.Equal(t, "Access denied.", out["error_description"])
	require.Empty(t, w.ok(guest, "crm.item.list", map[string]any{"entityTypeId": 2}).(map[string]any)["items"])
	require.Equal(t, false, w.ok(guest, "user.admin", nil))
	_, out = w.call(guest, "crm.timeline.comment.add", map[string]any{"fields": map[string]any{"ENTITY_ID": 1, "ENTITY_TYPE": "deal", "COMMENT": "x"}})
	require.Equal(t, "ACCESS_DENIED", out["error"])
}

func TestOnlyAdministratorsRegisterPlacementsAndFields(t *testing.T) {
	w := newWorld(t)
	manager := w.portal.TokenFor("2").Access
	status, out := w.call(manager, "placement.bind", map[string]any{"PLACEMENT": TabPlacement, "HANDLER": "https://app.example.com/card"})
	require.Equal(t, 403, status)
	require.Equal(t, "ACCESS_DENIED", out["error"])
	_, out = w.call(manager, "userfieldconfig.add", map[string]any{"moduleId": "crm", "field": map[string]any{"entityId": "CRM_DEAL", "fieldName": "UF_CRM_DEAL_X", "userTypeId": "string"}})
	require.Equal(t, "Access denied", out["error_description"])
}

func TestUnknownMethodsAndMissingScopes(t *testing.T) {
	w := newWorld(t)
	status, out := w.call(w.admin(), "crm.nothing", nil)
	require.Equal(t, 404, status)
	require.Equal(t, "ERROR_METHOD_NOT_FOUND", out["error"])
	w.server.cfg.Scope = "crm"
	status, out = w.call(w.admin(), "placement.list", nil)
	require.Equal(t, 403, status)
	require.Equal(t, "insufficient_scope", out["error"])
}

func TestItemAndDealSpeakTheirOwnDialects(t *testing.T) {
	w := newWorld(t)
	item := w.ok(w.admin(), "crm.item.get", map[string]any{"entityTypeId": 2, "id": 1}).(map[string]any)["item"].(map[string]any)
	require.Equal(t, json.Number("1"), item["id"])
	require.Equal(t, json.Number("150000"), item["opportunity"])
	row := w.ok(w.admin(), "crm.deal.get", map[string]any{"id": "1"}).(map[string]any)
	require.Equal(t, "1", row["ID"])
	require.Equal(t, "150000.00", row["OPPORTUNITY"])
	contact := w.ok(w.admin(), "crm.item.get", map[string]any{"entityTypeId": 3, "id": 1}).(map[string]any)["item"].(map[string]any)
	require.Equal(t, "customer1@example.com", contact["email"])
	_, out := w.call(w.admin(), "crm.item.get", map[string]any{"entityTypeId": 2, "id": 99})
	require.Equal(t, "NOT_FOUND", out["error"])
}

func TestStageMustBelongToThePipeline(t *testing.T) {
	w := newWorld(t)
	_, out := w.call(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"stageId": "C1:WON"}})
	require.Equal(t, "CRM_FIELD_ERROR_VALUE_NOT_VALID", out["error"])
	item := w.ok(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"stageId": "WON", "noSuchField": 1}})
	require.Equal(t, "S", item.(map[string]any)["item"].(map[string]any)["stageSemanticId"])
	statuses := w.ok(w.admin(), "crm.status.list", map[string]any{"filter": map[string]any{"ENTITY_ID": "DEAL_STAGE_1"}}).([]any)
	require.Len(t, statuses, 8)
	require.Equal(t, "C1:PREPAYMENT_INVOICE"[:21], statuses[2].(map[string]any)["STATUS_ID"])
}

func TestListFiltersSortsAndPages(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		_, err := w.portal.Add(map[string]any{"TITLE": "Extra", "OPPORTUNITY": "10"})
		require.NoError(t, err)
	}
	_, out := w.call(w.admin(), "crm.item.list", map[string]any{"entityTypeId": 2, "select": []string{"id"}, "order": map[string]any{"id": "DESC"}})
	require.Equal(t, json.Number("60"), out["total"])
	require.Equal(t, json.Number("50"), out["next"])
	first := out["result"].(map[string]any)["items"].([]any)[0]
	require.Equal(t, map[string]any{"id": json.Number("60")}, first)
	_, out = w.call(w.admin(), "crm.item.list", map[string]any{"entityTypeId": 2, "start": -1, "filter": map[string]any{">id": 58, "@stageId": []string{"NEW"}}})
	require.NotContains(t, out, "total")
	require.Len(t, out["result"].(map[string]any)["items"], 2)
	_, out = w.call(w.admin(), "crm.item.list", map[string]any{"entityTypeId": 2, "filter": map[string]any{"nope": 1}})
	require.Equal(t, "INVALID_ARG_VALUE", out["error"])
}

// TestBracketKeysSurviveTheRoundTrip: what is flattened for an event reads back the same.
func TestBracketKeysSurviveTheRoundTrip(t *testing.T) {
	key := rapid.StringMatching(`[A-Za-z_]{1,6}`)
	rapid.Check(t, func(r *rapid.T) {
		tree := params{}
		for k, v := range rapid.MapOfN(key, rapid.String(), 1, 4).Draw(r, "leaves") {
			tree[k] = v
		}
		inner := params{}
		for k, v := range rapid.MapOfN(key, rapid.String(), 1, 4).Draw(r, "inner") {
			inner[k] = v
		}
		tree["deep"] = inner
		form := url.Values{}
		flatten(form, "data", tree)
		require.Equal(r, params{"data": tree}, fromForm(form))
	})
}

func TestAnswersHaveTheDocumentedKeys(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	for name, in := range map[string]struct {
		method string
		params map[string]any
		file   string
	}{
		"profile": {"profile", nil, "profile.response.json"}, "app.info": {"app.info", nil, "app.info.response.json"},
		"method": {"method.get", map[string]any{"name": "profile"}, "method.get.response.json"},
	} {
		var documented map[string]any
		require.NoError(t, json.Unmarshal(fixture(t, in.file), &documented))
		got := w.ok(token, in.method, in.params)
		require.ElementsMatch(t, keysOf(documented["result"].(map[string]any)), keysOf(got.(map[string]any)), name)
	}
}
