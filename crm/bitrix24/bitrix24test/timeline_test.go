package bitrix24test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommentsAndLogMessagesAreNotes(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	w.ok(token, "crm.timeline.comment.add", map[string]any{"fields": map[string]any{"ENTITY_ID": "1", "ENTITY_TYPE": "deal", "COMMENT": "Paid\nDP-1"}})
	w.ok(token, "crm.timeline.logmessage.add", map[string]any{"fields": map[string]any{"entityTypeId": 2, "entityId": 1, "title": "Link", "text": "sent", "iconCode": "info"}})
	d, _ := w.portal.Deal("1")
	require.Equal(t, "Paid\nDP-1", d.Notes[0].Text)
	require.Equal(t, "Link\nsent", d.Notes[1].Text)
	comments := w.ok(token, "crm.timeline.comment.list", map[string]any{"filter": map[string]any{"ENTITY_ID": 1, "ENTITY_TYPE": "deal"}}).([]any)
	require.Len(t, comments, 1)
	_, out := w.call(token, "crm.timeline.comment.add", map[string]any{"fields": map[string]any{"ENTITY_ID": 99, "ENTITY_TYPE": "deal", "COMMENT": "x"}})
	require.Equal(t, "OWNER_NOT_FOUND", out["error"])
	_, out = w.call(token, "crm.timeline.comment.add", map[string]any{"FIELDS": map[string]any{"ENTITY_ID": 1}})
	require.Equal(t, "100", out["error"])
}

func TestTodosAndTasksAreTheDealsTasks(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	todo := w.ok(token, "crm.activity.todo.add", map[string]any{"ownerTypeId": 2, "ownerId": 1, "deadline": "2030-01-01T10:00:00", "title": "Check", "description": "DP-1", "responsibleId": 2})
	id := todo.(map[string]any)["id"]
	found := w.ok(token, "crm.activity.list", map[string]any{"filter": map[string]any{"OWNER_TYPE_ID": 2, "OWNER_ID": 1, "%DESCRIPTION": "DP-1"}}).([]any)
	require.Equal(t, id.(json.Number).String(), found[0].(map[string]any)["ID"])
	w.ok(token, "crm.activity.update", map[string]any{"id": id, "fields": map[string]any{"COMPLETED": "Y"}})
	_, out := w.call(token, "crm.activity.todo.update", map[string]any{"id": id, "ownerTypeId": 2, "ownerId": 1, "deadline": "2030-01-01T10:00:00"})
	require.Equal(t, "CAN_NOT_UPDATE_COMPLETED_TODO", out["error"])

	task := w.ok(token, "tasks.task.add", map[string]any{"fields": map[string]any{"TITLE": "Decide", "RESPONSIBLE_ID": 2, "DESCRIPTION": "DP-2", "UF_CRM_TASK": []string{"D_1"}}})
	taskID := task.(map[string]any)["task"].(map[string]any)["id"]
	listed := w.ok(token, "tasks.task.list", map[string]any{"filter": map[string]any{"UF_CRM_TASK": "D_1"}, "select": []string{"ID", "UF_CRM_TASK"}})
	require.Len(t, listed.(map[string]any)["tasks"], 1)
	w.ok(token, "tasks.task.complete", map[string]any{"taskId": taskID})
	d, _ := w.portal.Deal("1")
	require.Equal(t, []TaskState{{ID: id.(json.Number).String(), Text: "Check\nDP-1", Done: true}, {ID: taskID.(string), Text: "Decide\nDP-2", Done: true}}, d.Tasks)
}

func TestNoticeWithTheSameTagReplacesTheEarlierOne(t *testing.T) {
	w := newWorld(t)
	for _, text := range []string{"one", "two"} {
		w.ok(w.admin(), "im.notify.system.add", map[string]any{"USER_ID": 1, "MESSAGE": text, "TAG": "t"})
	}
	require.Len(t, w.portal.State().Notices, 1)
	require.Equal(t, "two", w.portal.State().Notices[0].Text)
}

func (w *world) browse(method, path, user string, form url.Values) (int, string, http.Header) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+acme+path, strings.NewReader(form.Encode()))
	require.NoError(w, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if user != "" {
		req.AddCookie(&http.Cookie{Name: userCookie, Value: user})
	}
	resp, err := w.client.Do(req)
	require.NoError(w, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	return resp.StatusCode, string(body), resp.Header
}

func TestPagesLeadFromLoginOverInstallToTheCard(t *testing.T) {
	w := newWorld(t)
	status, _, header := w.browse("GET", "/crm/deal/details/1/", "", nil)
	require.Equal(t, 302, status)
	require.Equal(t, "/login?back=%2Fcrm%2Fdeal%2Fdetails%2F1%2F", header.Get("Location"))
	status, _, header = w.browse("POST", "/login", "", url.Values{"user": {"1"}, "lang": {"ru"}, "back": {"//elsewhere.example"}})
	require.Equal(t, 303, status)
	require.Equal(t, "/crm/deal/", header.Get("Location"))

	_, body, _ := w.browse("GET", "/market/", "1", nil)
	require.Contains(t, body, `data-testid="install"`)
	_, body, _ = w.browse("GET", "/market/", "2", nil)
	require.NotContains(t, body, `data-testid="install"`)
	status, _, header = w.browse("POST", "/market/install", "1", nil)
	require.Equal(t, 303, status)
	_, body, _ = w.browse("GET", header.Get("Location"), "1", nil)
	require.Contains(t, body, w.app.URL+"/bitrix24/install?")
	require.Contains(t, body, `data-testid="app-frame"`)
	sid := body[strings.Index(body, "|1|")+3:][:32]
	w.browse("POST", "/page/frame/"+sid+"/finish", "1", nil)
	require.True(t, w.portal.State().Installed)

	w.ok(w.admin(), "placement.bind", map[string]any{"PLACEMENT": TabPlacement, "HANDLER": w.app.URL + "/bitrix24/card", "TITLE": "Pay"})
	_, body, _ = w.browse("GET", "/crm/deal/", "2", nil)
	require.Contains(t, body, `data-testid="deal-20"`)
	_, body, _ = w.browse("GET", "/crm/deal/details/20/", "2", nil)
	require.Contains(t, body, w.app.URL+"/bitrix24/card?")
	_, body, _ = w.browse("GET", "/page/deal/20", "2", nil)
	require.Contains(t, body, `"Customer 20"`)
	status, _, _ = w.browse("GET", "/crm/deal/", "3", nil)
	require.Equal(t, 403, status)
	status, _, _ = w.browse("GET", "/page/deal/20", "3", nil)
	require.Equal(t, 404, status)
}
