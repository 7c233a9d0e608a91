package bitrix24test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// addField makes a field by userfieldconfig.add and answers it.
func (w *world) addField(field map[string]any) map[string]any {
	w.Helper()
	field["entityId"] = "CRM_DEAL"
	out := w.ok(w.admin(), "userfieldconfig.add", map[string]any{"moduleId": "crm", "field": field})
	return out.(map[string]any)["field"].(map[string]any)
}

func statusField() map[string]any {
	return map[string]any{"fieldName": "UF_CRM_DEAL_DP_STATUS", "userTypeId": "enumeration", "editFormLabel": map[string]string{"en": "Status", "ru": "Статус"},
		"enum": []map[string]any{{"value": "Paid", "xmlId": "paid", "sort": 10}, {"value": "Expired", "xmlId": "expired"}}}
}

func TestEnumerationIsWrittenByOptionIDAndShownByXMLID(t *testing.T) {
	w := newWorld(t)
	field := w.addField(statusField())
	option := field["enum"].([]any)[0].(map[string]any)
	require.Equal(t, "paid", option["xmlId"])
	update := func(v any) (int, map[string]any) {
		return w.call(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"ufCrmDealDpStatus": v}})
	}
	status, out := update(option["id"])
	require.Equal(t, 200, status, "%v", out)
	item := out["result"].(map[string]any)["item"].(map[string]any)
	require.Equal(t, json.Number(option["id"].(string)), item["ufCrmDealDpStatus"])
	row := w.ok(w.admin(), "crm.deal.get", map[string]any{"id": 1}).(map[string]any)
	require.Equal(t, option["id"], row["UF_CRM_DEAL_DP_STATUS"])
	d, _ := w.portal.Deal("1")
	require.Equal(t, map[string]any{"UF_CRM_DEAL_DP_STATUS": "paid"}, d.Fields)

	status, out = update("paid")
	require.Equal(t, 400, status)
	require.Equal(t, "CRM_FIELD_ERROR_VALUE_NOT_VALID", out["error"])
	status, _ = update("")
	require.Equal(t, 200, status)
	d, _ = w.portal.Deal("1")
	require.Empty(t, d.Fields)
	require.NoError(t, w.portal.Edit("1", map[string]any{"UF_CRM_DEAL_DP_STATUS": "expired"}))
}

func TestMoneyURLAndDatesKeepTheirForms(t *testing.T) {
	w := newWorld(t)
	for name, kind := range map[string]string{"PAID": "money", "LINK": "url", "AT": "datetime"} {
		w.addField(map[string]any{"fieldName": "UF_CRM_DEAL_" + name, "userTypeId": kind})
	}
	w.ok(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "useOriginalUfNames": "Y", "fields": map[string]any{
		"UF_CRM_DEAL_PAID": "100.00|AMD", "UF_CRM_DEAL_LINK": "https://pay.example.com/p/1", "UF_CRM_DEAL_AT": "2026-03-02T09:30:00Z"}})
	d, _ := w.portal.Deal("1")
	require.Equal(t, "100.00|AMD", d.Fields["UF_CRM_DEAL_PAID"])
	require.Equal(t, "2026-03-02T13:30:00+04:00", d.Fields["UF_CRM_DEAL_AT"], "the portal's own offset")
	item := w.ok(w.admin(), "crm.item.get", map[string]any{"entityTypeId": 2, "id": 1}).(map[string]any)["item"].(map[string]any)
	require.Equal(t, "https://pay.example.com/p/1", item["ufCrmDealLink"])
	_, out := w.call(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"ufCrmDealPaid": "lots"}})
	require.Equal(t, "CRM_FIELD_ERROR_VALUE_NOT_VALID", out["error"])
	w.ok(w.admin(), "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"UF_CRM_DEAL_PAID": "5|AMD"}})
	d, _ = w.portal.Deal("1")
	require.Equal(t, "100.00|AMD", d.Fields["UF_CRM_DEAL_PAID"], "original names are ignored without useOriginalUfNames")
}

func TestFieldConfigRefusesAsDocumented(t *testing.T) {
	w := newWorld(t)
	w.addField(statusField())
	for _, bad := range []struct {
		field map[string]any
		text  string
	}{
		{statusField(), "Field UF_CRM_DEAL_DP_STATUS already exists"},
		{map[string]any{"fieldName": "UF_CRM_OTHER", "userTypeId": "string"}, "You cannot create custom fields"},
		{map[string]any{"fieldName": "UF_CRM_DEAL_X"}, "The 'USER_TYPE_ID' field is not found"},
		{map[string]any{"fieldName": "UF_CRM_DEAL_Y", "userTypeId": "enumeration", "enum": []map[string]any{{"value": "a", "xmlId": "x"}, {"value": "b", "xmlId": "x"}}}, "Fail to save enumeration field values"},
	} {
		bad.field["entityId"] = "CRM_DEAL"
		status, out := w.call(w.admin(), "userfieldconfig.add", map[string]any{"moduleId": "crm", "field": bad.field})
		require.Equal(t, 400, status)
		require.Equal(t, "", out["error"])
		require.Equal(t, bad.text, out["error_description"])
	}
}

func TestOptionsAreAddedAndDeletedByUpdate(t *testing.T) {
	w := newWorld(t)
	field := w.addField(statusField())
	gone := field["enum"].([]any)[1].(map[string]any)["id"]
	out := w.ok(w.admin(), "userfieldconfig.update", map[string]any{"moduleId": "crm", "id": field["id"], "field": map[string]any{"userTypeId": "enumeration",
		"enum": []map[string]any{{"id": gone, "del": "Y"}, {"value": "Refunded", "xmlId": "refunded"}}}})
	enum := out.(map[string]any)["field"].(map[string]any)["enum"].([]any)
	require.Len(t, enum, 2)
	require.Equal(t, "refunded", enum[1].(map[string]any)["xmlId"])
	listed := w.ok(w.admin(), "userfieldconfig.list", map[string]any{"moduleId": "crm", "filter": map[string]any{"fieldName": "UF_CRM_DEAL_DP_STATUS"}})
	require.NotContains(t, listed.(map[string]any)["fields"].([]any)[0], "enum", "the list leaves options out")
	got := w.ok(w.admin(), "userfieldconfig.get", map[string]any{"moduleId": "crm", "id": field["id"]})
	require.Len(t, got.(map[string]any)["field"].(map[string]any)["enum"], 2)
}

func TestFieldConfigAnswerHasTheDocumentedKeys(t *testing.T) {
	w := newWorld(t)
	var documented map[string]any
	require.NoError(t, json.Unmarshal(fixture(t, "userfieldconfig.add.response.json"), &documented))
	want := documented["result"].(map[string]any)["field"].(map[string]any)
	got := w.addField(statusField())
	require.ElementsMatch(t, keysOf(want), keysOf(got))
	require.ElementsMatch(t, keysOf(want["enum"].([]any)[0].(map[string]any)), keysOf(got["enum"].([]any)[0].(map[string]any)))
}

func TestOldFieldMethodsAddThePrefixThemselves(t *testing.T) {
	w := newWorld(t)
	id := w.ok(w.admin(), "crm.deal.userfield.add", map[string]any{"fields": map[string]any{"FIELD_NAME": "DP_STATUS", "USER_TYPE_ID": "enumeration",
		"LABEL": "Status", "LIST": []map[string]any{{"VALUE": "Paid", "XML_ID": "paid"}}}})
	rows := w.ok(w.portal.TokenFor("2").Access, "crm.deal.userfield.list", map[string]any{"filter": map[string]any{"FIELD_NAME": "UF_CRM_DP_STATUS", "LANG": "en"}}).([]any)
	require.Len(t, rows, 1)
	row := rows[0].(map[string]any)
	require.Equal(t, "Status", row["EDIT_FORM_LABEL"])
	require.Equal(t, "paid", row["LIST"].([]any)[0].(map[string]any)["XML_ID"])
	w.ok(w.admin(), "crm.deal.userfield.update", map[string]any{"id": id, "fields": map[string]any{"LIST": []map[string]any{{"VALUE": "Expired"}}}})
	require.Equal(t, true, w.ok(w.admin(), "crm.deal.userfield.delete", map[string]any{"id": id}))
	_, out := w.call(w.admin(), "crm.deal.userfield.delete", map[string]any{"id": id})
	require.Equal(t, "ERROR_NOT_FOUND", out["error"])
}

func TestCamelNamesFollowTheDocumentedExamples(t *testing.T) {
	require.Equal(t, "ufCrm_1721244707107", camelField("UF_CRM_1721244707107"))
	require.Equal(t, "ufCrmDealDpPaidAt", camelField("UF_CRM_DEAL_DP_PAID_AT"))
}
