package amotest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/crm/amo/amotest"
)

// payFields makes the kinds of fields an integration uses and returns the select's id.
func (f *fixture) payFields() string {
	got := f.api("POST", "leads/custom_fields", `[
		{"name":"Status","type":"select","code":"PAY_STATUS","is_api_only":true,"request_id":"s",
			"enums":[{"value":"Awaiting","sort":1,"code":"awaiting"},{"value":"Paid","sort":2,"code":"paid"}]},
		{"name":"Link","type":"url","code":"PAY_URL","request_id":"u"},
		{"name":"Amount","type":"numeric","code":"PAY_AMOUNT","request_id":"n"},
		{"name":"When","type":"date_time","code":"PAY_AT","request_id":"d"}]`)
	require.Equal(f.t, http.StatusCreated, got.status, got.raw)
	require.Equal(f.t, "d", at(got.body, "_embedded", "custom_fields", 0, "request_id"), "answers come in another order")
	return fmt.Sprintf("%.0f", at(got.body, "_embedded", "custom_fields", 3, "id"))
}

func TestFieldsAreWrittenAndReadByType(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	id := f.payFields()
	body := `[{"id":3,"custom_fields_values":[{"field_id":` + id + `,"values":[{"enum_code":"paid"}]},
		{"field_code":"PAY_URL","values":[{"value":"https://pay.example/i/1"}]},{"field_code":"PAY_AMOUNT","values":[{"value":12.5}]},
		{"field_code":"PAY_AT","values":[{"value":"2026-01-02T03:04:05+00:00"}]}],"request_id":"x"}]`
	got := f.api("PATCH", "leads", body)
	require.Equal(t, http.StatusOK, got.status, got.raw)
	require.Equal(t, "x", at(got.body, "_embedded", "leads", 0, "request_id"))
	require.Equal(t, map[string]any{"PAY_STATUS": "paid", "PAY_URL": "https://pay.example/i/1", "PAY_AMOUNT": "12.5", "PAY_AT": int64(1767323045)},
		f.account.Deal("3").Fields)
	read := f.api("GET", "leads/3?with=contacts", "")
	require.Equal(t, "Paid", at(read.body, "custom_fields_values", 0, "values", 0, "value"))
	require.Equal(t, true, at(read.body, "_embedded", "contacts", 0, "is_main"))
	require.Equal(t, "application/hal+json", read.header.Get("Content-Type"))
	cleared := f.api("PATCH", "leads/3", `{"custom_fields_values":[{"field_code":"PAY_URL","values":null}]}`)
	require.Equal(t, http.StatusOK, cleared.status, cleared.raw)
	require.NotContains(t, f.account.Deal("3").Fields, "PAY_URL")
	require.Contains(t, f.account.Deal("3").Fields, "PAY_STATUS", "other fields are kept")
	again := f.api("POST", "leads/custom_fields", `[{"name":"Link","type":"url","code":"PAY_URL"}]`)
	require.Equal(t, "NotUnique", at(again.body, "validation-errors", 0, "errors", 0, "code"))
}

func TestOneBadElementRefusesTheBatch(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	got := f.api("PATCH", "leads", `[{"id":1,"price":5,"request_id":"a"},{"id":2,"status_id":999,"request_id":"b",
		"custom_fields_values":[{"field_code":"NOPE","values":[{"value":"x"}]}]}]`)
	require.Equal(t, http.StatusBadRequest, got.status)
	require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
	require.Equal(t, "b", at(got.body, "validation-errors", 0, "request_id"))
	require.Equal(t, "status_id", at(got.body, "validation-errors", 0, "errors", 0, "path"))
	require.Equal(t, "custom_fields_values.0.field_code", at(got.body, "validation-errors", 0, "errors", 1, "path"))
	require.Equal(t, "NotSupportedChoice", at(got.body, "validation-errors", 0, "errors", 1, "code"))
	require.Equal(t, "150000.00", f.account.Deal("1").Amount, "nothing of the batch was written")
	require.Equal(t, http.StatusBadRequest, f.api("PATCH", "leads", `[{"id":1,"pirce":5}]`).status, "unknown keys are refused")
	require.Equal(t, "Request data can not be empty", f.api("PATCH", "leads", "[]").body["detail"])
	long := "[" + strings.TrimSuffix(strings.Repeat(`{"id":1},`, 251), ",") + "]"
	over := f.api("PATCH", "leads", long)
	require.Equal(t, http.StatusUnprocessableEntity, over.status)
	require.Equal(t, "Limit 250 per page", over.body["detail"])
}

func TestBatchAnswersAreMatchedByRequestID(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(1, amotest.Leads), 1, amotest.Leads, rapid.ID[int]).Draw(rt, "ids")
		var parts []string
		for _, id := range ids {
			parts = append(parts, fmt.Sprintf(`{"id":%d,"price":%d,"request_id":"r%d"}`, id, id, id))
		}
		got := f.api("PATCH", "leads", "["+strings.Join(parts, ",")+"]")
		require.Equal(rt, http.StatusOK, got.status, got.raw)
		list := at(got.body, "_embedded", "leads").([]any)
		require.Len(rt, list, len(ids))
		for _, one := range list {
			require.Equal(rt, fmt.Sprintf("r%.0f", at(one, "id")), at(one, "request_id"))
		}
	})
}

func TestStagesFollowTheirPipeline(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	list := f.api("GET", "leads/pipelines", "")
	require.EqualValues(t, 2, list.body["_total_items"])
	require.EqualValues(t, 1, at(list.body, "_embedded", "pipelines", 0, "_embedded", "statuses", 0, "type"))
	incoming := at(list.body, "_embedded", "pipelines", 0, "_embedded", "statuses", 0, "id")
	won := fmt.Sprintf(`{"pipeline_id":%d,"status_id":142}`, amotest.OtherPipeline)
	require.Equal(t, http.StatusOK, f.api("PATCH", "leads/1", won).status)
	require.Equal(t, "142", f.account.Deal("1").Stage)
	require.Equal(t, fmt.Sprint(amotest.OtherPipeline), f.account.Deal("1").Pipeline)
	require.NotNil(t, f.api("GET", "leads/1", "").body["closed_at"])
	foreign := fmt.Sprintf(`{"status_id":%d}`, amotest.StageNew)
	require.Equal(t, http.StatusBadRequest, f.api("PATCH", "leads/1", foreign).status, "the stage is of another pipeline")
	require.Equal(t, http.StatusBadRequest, f.api("PATCH", "leads/2", fmt.Sprintf(`{"status_id":%.0f}`, incoming)).status)
	require.Equal(t, http.StatusBadRequest, f.api("PATCH", "leads/2", `{"loss_reason_id":1}`).status)
}

func TestNotesAndTasks(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	require.Equal(t, http.StatusNoContent, f.api("GET", "leads/4/notes", "").status, "an empty list has no body")
	made := f.api("POST", "leads/notes", `[{"entity_id":4,"note_type":"extended_service_message","params":{"service":"Dealpay","text":"Paid DP-1"},"request_id":"n1"}]`)
	require.Equal(t, http.StatusOK, made.status, made.raw)
	require.Equal(t, "n1", at(made.body, "_embedded", "notes", 0, "request_id"))
	bad := f.api("POST", "leads/4/notes", `[{"note_type":"extended_service_message","params":{"text":"no service"}},{"note_type":"invoice_paid","params":{"text":"x"}}]`)
	require.Equal(t, http.StatusBadRequest, bad.status)
	require.Len(t, bad.body["validation-errors"], 2)
	found := f.api("GET", "leads/4/notes?filter[note_type][]=extended_service_message&limit=10", "")
	require.Equal(t, "Paid DP-1", at(found.body, "_embedded", "notes", 0, "params", "text"))
	task := f.api("POST", "tasks", `[{"text":"Check","complete_till":1800000000,"entity_id":4,"entity_type":"leads","request_id":"t"}]`)
	require.Equal(t, http.StatusOK, task.status, task.raw)
	id := at(task.body, "_embedded", "tasks", 0, "id")
	open := f.api("GET", fmt.Sprintf("tasks/%.0f", id), "")
	require.Equal(t, []any{}, open.body["result"], "an open task's result is an empty array")
	done := f.api("PATCH", fmt.Sprintf("tasks/%.0f", id), `{"is_completed":true,"result":{"text":"done"}}`)
	require.Equal(t, http.StatusOK, done.status, done.raw)
	require.Equal(t, http.StatusNoContent, f.api("GET", "tasks?filter[is_completed]=0&filter[entity_id][]=4", "").status)
	deal := f.account.Deal("4")
	require.Equal(t, "Paid DP-1", deal.Notes[0].Text)
	require.True(t, deal.Tasks[0].Done)
	require.Equal(t, http.StatusBadRequest, f.api("POST", "tasks", `[{"text":"no time"}]`).status)
}

func TestListsPageAndFilter(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	first := f.api("GET", "leads?limit=8", "")
	require.Len(t, at(first.body, "_embedded", "leads"), 8)
	next, _ := at(first.body, "_links", "next", "href").(string)
	require.NotEmpty(t, next)
	last := f.api("GET", "leads?limit=8&page=3", "")
	require.Len(t, at(last.body, "_embedded", "leads"), 4)
	require.Nil(t, at(last.body, "_links", "next"))
	require.Equal(t, http.StatusNoContent, f.api("GET", "leads?page=9", "").status)
	two := f.api("GET", "leads?filter[id][]=2&filter[id][]=5", "")
	require.Len(t, at(two.body, "_embedded", "leads"), 2)
	people := f.api("GET", "contacts?filter[id][0]=5002", "")
	require.Equal(t, "+12025550102", at(people.body, "_embedded", "contacts", 0, "custom_fields_values", 0, "values", 0, "value"))
	require.Equal(t, http.StatusUnprocessableEntity, f.api("GET", "leads?limit=300", "").status)
}

func TestRightsAreThoseOfTheTokensUser(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	none, manager := f.account.TokenFor(amotest.NoRightsID), f.account.TokenFor(amotest.ManagerID)
	require.Equal(t, http.StatusForbidden, f.do(none, "GET", f.url("/api/v4/leads/1"), "").status)
	require.Equal(t, http.StatusNoContent, f.do(none, "GET", f.url("/api/v4/leads"), "").status)
	require.Equal(t, http.StatusOK, f.do(manager, "GET", f.url("/api/v4/leads/1"), "").status)
	require.Equal(t, http.StatusForbidden, f.do(manager, "POST", f.url("/api/v4/leads/custom_fields"), `[{"name":"x","type":"text"}]`).status)
	require.Equal(t, http.StatusForbidden, f.do(manager, "GET", f.url("/api/v4/users"), "").status)
	f.second()
	admin := f.account.TokenFor(amotest.AdminID)
	as := func(id int64) result {
		return f.do(admin, "GET", f.url("/api/v4/leads/1"), "", "X-Context-User-ID", fmt.Sprint(id))
	}
	require.Equal(t, http.StatusOK, as(amotest.ManagerID).status)
	require.Equal(t, http.StatusForbidden, as(amotest.NoRightsID).status)
	require.Equal(t, http.StatusUnauthorized, as(12345).status)
	user := f.do(admin, "GET", f.url(fmt.Sprintf("/api/v4/users/%d", amotest.NoRightsID)), "")
	require.Equal(t, "D", at(user.body, "rights", "leads", "view"))
	require.Equal(t, false, at(user.body, "rights", "is_admin"))
}

func TestDeletedLeadAndUnknownPaths(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	require.NoError(t, f.account.Delete("7"))
	require.Equal(t, http.StatusNoContent, f.api("GET", "leads/7", "").status)
	f.account.Switch(func(s *amotest.Switches) { s.DeletedGet = http.StatusNotFound })
	require.Equal(t, http.StatusNotFound, f.api("GET", "leads/7", "").status)
	require.Equal(t, http.StatusNotFound, f.api("PATCH", "leads/7", `{"price":1}`).status)
	require.Equal(t, http.StatusNotFound, f.api("GET", "nothing", "").status)
	require.Equal(t, http.StatusMethodNotAllowed, f.api("DELETE", "leads", "").status)
	f.account.Switch(func(s *amotest.Switches) { s.Paid = false })
	require.Equal(t, http.StatusPaymentRequired, f.api("PATCH", "leads/1", `{"price":1}`).status)
	require.Equal(t, http.StatusOK, f.api("GET", "leads/1", "").status, "an unpaid account can still be read")
}

func TestLinksTagsAndEvents(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	linked := f.api("POST", "leads/1/link", `[{"to_entity_id":5002,"to_entity_type":"contacts"}]`)
	require.Equal(t, http.StatusOK, linked.status, linked.raw)
	require.EqualValues(t, 2, f.api("GET", "leads/1/links", "").body["_total_items"])
	require.Equal(t, http.StatusNoContent, f.api("POST", "leads/1/unlink", `[{"to_entity_id":5002,"to_entity_type":"contacts"}]`).status)
	require.Equal(t, http.StatusOK, f.api("PATCH", "leads/1", `{"tags_to_add":[{"name":"paid"}],"price":10}`).status)
	require.Equal(t, "paid", at(f.api("GET", "leads/1", "").body, "_embedded", "tags", 0, "name"))
	require.NoError(t, f.account.Move("1", amotest.MainPipeline, amotest.StageInvoice))
	events := f.api("GET", "events?filter[entity_id][]=1&filter[type]=lead_status_changed", "")
	require.EqualValues(t, amotest.StageInvoice, at(events.body, "_embedded", "events", 0, "value_after", 0, "lead_status", "id"))
}
