package bitrix24test

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// activity is a to-do of a deal's timeline, or a task bound to a deal.
type activity struct {
	id, deal           int
	task, done         bool
	title, text        string
	bound              []string // UF_CRM_TASK of a task
	owner, author      int
	created, updated   time.Time
	deadline, finished time.Time
}

// whole is all of its text.
func (a *activity) whole() string {
	return strings.TrimSpace(a.title + "\n" + a.text)
}

type notice struct {
	ID   int       `json:"id"`
	User string    `json:"user"`
	Text string    `json:"text"`
	Tag  string    `json:"tag,omitempty"`
	At   time.Time `json:"at"`
}

// To-dos, tasks and notices (sections "Universal Activity", "Tasks", "Notifications").
var activityMethods = map[string]method{
	"crm.activity.todo.add":            {scope: "crm", write: true, run: todoAdd},
	"crm.activity.todo.update":         {scope: "crm", write: true, run: todoUpdate},
	"crm.activity.todo.updatedeadline": {scope: "crm", write: true, run: todoUpdate},
	"crm.activity.update":              {scope: "crm", write: true, run: activityUpdate},
	"crm.activity.delete":              {scope: "crm", write: true, run: activityDelete},
	"crm.activity.get":                 {scope: "crm", run: activityGet},
	"crm.activity.list":                {scope: "crm", run: activityList},
	"tasks.task.add":                   {scope: "task", write: true, run: taskAdd},
	"tasks.task.get":                   {scope: "task", run: taskGet},
	"tasks.task.list":                  {scope: "task", run: taskList},
	"tasks.task.update":                {scope: "task", write: true, run: taskUpdate},
	"tasks.task.complete":              {scope: "task", write: true, run: taskComplete},
	"im.notify.system.add":             {scope: "im", write: true, run: notify},
	"im.notify.personal.add":           {scope: "im", write: true, run: notify},
}

func parseTime(v any) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text(v), zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func todoAdd(c *call) (any, *restError) {
	for _, name := range []string{"ownerTypeId", "ownerId", "deadline"} {
		if text(c.params[name]) == "" {
			return nil, missing(name)
		}
	}
	if number(c.params["ownerTypeId"]) != typeDeal {
		return nil, bad("OWNER_NOT_FOUND", "Owner not found")
	}
	if refused := c.owner(number(c.params["ownerId"])); refused != nil {
		return nil, refused
	}
	deadline, ok := parseTime(c.params["deadline"])
	if !ok {
		return nil, bad("WRONG_DATETIME_FORMAT", "Wrong datetime format")
	}
	a := &activity{id: c.p.id(), deal: number(c.params["ownerId"]), title: text(c.params["title"]), text: text(c.params["description"]),
		owner: cmp.Or(number(c.params["responsibleId"]), c.user.id), author: c.user.id, created: c.now, updated: c.now, deadline: deadline}
	c.p.activities = append(c.p.activities, a)
	return params{"id": a.id}, nil
}

// activity finds a to-do, or with task a task, that the user may change.
func (c *call) activity(id int, task bool) (int, *restError) {
	i := slices.IndexFunc(c.p.activities, func(a *activity) bool { return a.id == id && a.task == task })
	switch {
	case i < 0 && task, i >= 0 && task && !c.user.deals && c.p.activities[i].owner != c.user.id:
		return i, bad("0", "Action on the task is not allowed")
	case i < 0:
		return i, bad("NOT_FOUND", "Not found.")
	case !task && !c.user.deals:
		return i, errDenied
	}
	return i, nil
}

func todoUpdate(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["id"]), false)
	if refused != nil {
		return nil, refused
	}
	a := c.p.activities[i]
	if a.done {
		return nil, bad("CAN_NOT_UPDATE_COMPLETED_TODO", "Completed activity cannot be modified")
	}
	deadline, ok := parseTime(c.params["deadline"])
	if !ok {
		return nil, bad("WRONG_DATETIME_FORMAT", "Wrong datetime format")
	}
	a.deadline, a.updated = deadline, c.now
	a.title, a.text = cmp.Or(text(c.params["title"]), a.title), cmp.Or(text(c.params["description"]), a.text)
	a.owner = cmp.Or(number(c.params["responsibleId"]), a.owner)
	return params{"id": a.id}, nil
}

// activityUpdate is the deprecated crm.activity.update, the documented way to complete a to-do.
func activityUpdate(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["id"]), false)
	if refused != nil {
		return nil, bad("", "Activity is not found")
	}
	in, ok := object(c.params["fields"])
	if !ok {
		return nil, bad("", "Parameter 'fields' must be array.")
	}
	a := c.p.activities[i]
	a.title, a.text = cmp.Or(text(in["SUBJECT"]), a.title), cmp.Or(text(in["DESCRIPTION"]), a.text)
	if in["COMPLETED"] != nil {
		a.close(yes(in["COMPLETED"]), c.now)
	}
	return true, nil
}

func (a *activity) close(done bool, now time.Time) { a.done, a.updated, a.finished = done, now, now }

func activityDelete(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["id"]), false)
	if refused != nil {
		return nil, bad("", "Activity is not found")
	}
	c.p.activities = slices.Delete(c.p.activities, i, i+1)
	return true, nil
}

func (a *activity) row() params {
	return params{"ID": strconv.Itoa(a.id), "OWNER_ID": strconv.Itoa(a.deal), "OWNER_TYPE_ID": strconv.Itoa(typeDeal), "TYPE_ID": "6",
		"PROVIDER_ID": "CRM_TODO", "PROVIDER_TYPE_ID": "TODO", "SUBJECT": a.title, "DESCRIPTION": a.text, "DESCRIPTION_TYPE": "1",
		"CREATED": stamp(a.created), "LAST_UPDATED": stamp(a.updated), "START_TIME": stamp(a.deadline), "END_TIME": stamp(a.deadline),
		"DEADLINE": stamp(a.deadline), "COMPLETED": yn(a.done), "STATUS": map[bool]string{true: "2", false: "1"}[a.done],
		"RESPONSIBLE_ID": strconv.Itoa(a.owner), "AUTHOR_ID": strconv.Itoa(a.author), "EDITOR_ID": strconv.Itoa(a.author),
		"SETTINGS": []any{}, "PROVIDER_PARAMS": []any{}, "ORIGINATOR_ID": nil, "ORIGIN_ID": nil}
}

func activityGet(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["id"]), false)
	if refused != nil {
		return nil, bad("", "Activity is not found")
	}
	return c.p.activities[i].row(), nil
}

func activityList(c *call) (any, *restError) {
	rows := []params{}
	for _, a := range c.p.activities {
		if !a.task && c.user.deals {
			rows = append(rows, a.row())
		}
	}
	if filter, ok := object(c.params["filter"]); ok && filter["BINDINGS"] != nil {
		rows = slices.DeleteFunc(rows, func(row params) bool { return !boundTo(row, list(filter["BINDINGS"])) })
	}
	return c.selected(rows)
}

func boundTo(row params, bindings []any) bool {
	return slices.ContainsFunc(bindings, func(b any) bool {
		want, _ := object(b)
		hit, _ := matches(row, want, false)
		return hit
	})
}

func taskAdd(c *call) (any, *restError) {
	in, ok := object(c.params["fields"])
	if !ok || len(in) == 0 {
		return nil, bad("100", "Could not find value for parameter {fields} (internal error)")
	}
	switch {
	case text(in["TITLE"]) == "":
		return nil, bad("ERROR_CORE", "Task title is not specified<br>")
	case text(in["RESPONSIBLE_ID"]) == "":
		return nil, bad("ERROR_CORE", "Responsible person is not specified<br>")
	case userByID(text(in["RESPONSIBLE_ID"])) == nil:
		return nil, bad("ERROR_CORE", "User specified in the \"Responsible\" field not found<br>")
	}
	a := &activity{id: c.p.id(), task: true, title: text(in["TITLE"]), text: text(in["DESCRIPTION"]), owner: number(in["RESPONSIBLE_ID"]),
		author: cmp.Or(number(in["CREATED_BY"]), c.user.id), created: c.now, updated: c.now}
	a.deadline, _ = parseTime(in["DEADLINE"])
	for _, v := range list(in["UF_CRM_TASK"]) {
		a.bound = append(a.bound, text(v))
		if id, isDeal := strings.CutPrefix(text(v), "D_"); isDeal {
			a.deal = number(id)
		}
	}
	c.p.activities = append(c.p.activities, a)
	return params{"task": a.taskRow()}, nil
}

func (a *activity) taskRow() params {
	when := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return stamp(t)
	}
	status := "2"
	if a.done {
		status = "5"
	}
	return params{"id": strconv.Itoa(a.id), "title": a.title, "description": a.text, "status": status, "subStatus": status, "priority": "1",
		"createdBy": strconv.Itoa(a.author), "responsibleId": strconv.Itoa(a.owner), "createdDate": stamp(a.created), "changedDate": stamp(a.updated),
		"closedDate": when(a.finished), "deadline": when(a.deadline), "descriptionInBbcode": "Y", "groupId": "0", "group": []any{},
		"auditors": []any{}, "accomplices": []any{}, "responsible": params{"id": strconv.Itoa(a.owner), "name": userByID(strconv.Itoa(a.owner)).name}}
}

// withBinding adds ufCrmTask, which answers carry only when it was selected.
func (a *activity) withBinding(sel []any) params {
	row := a.taskRow()
	if slices.ContainsFunc(sel, func(s any) bool { return text(s) == "UF_CRM_TASK" }) {
		row["ufCrmTask"] = append([]string{}, a.bound...)
	}
	return row
}

func taskGet(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["taskId"]), true)
	if refused != nil {
		return nil, refused
	}
	return params{"task": c.p.activities[i].withBinding(list(c.params["select"]))}, nil
}

// taskList filters by upper-case names; the answer is camelCase.
func taskList(c *call) (any, *restError) {
	rows, byID := []params{}, map[string]*activity{}
	for _, a := range c.p.activities {
		if !a.task || (!c.user.deals && a.owner != c.user.id) {
			continue
		}
		row := a.taskRow()
		bound := []any{}
		for _, b := range a.bound {
			bound = append(bound, b)
		}
		upper := params{"ID": row["id"], "TITLE": a.title, "DESCRIPTION": a.text, "STATUS": row["status"], "REAL_STATUS": row["status"],
			"RESPONSIBLE_ID": row["responsibleId"], "CREATED_BY": row["createdBy"], "CREATED_DATE": row["createdDate"], "UF_CRM_TASK": bound}
		rows = append(rows, upper)
		byID[text(row["id"])] = a
	}
	if c.params["order"] == nil {
		c.params = maps.Clone(c.params)
		c.params["order"] = params{"ID": "desc"}
	}
	rows, refused := c.find(rows, false)
	if refused != nil {
		return nil, refused
	}
	out := []params{}
	for _, row := range page(c, rows, 50) {
		out = append(out, byID[text(row["ID"])].withBinding(list(c.params["select"])))
	}
	return params{"tasks": out}, nil
}

func taskUpdate(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["taskId"]), true)
	if refused != nil {
		return nil, refused
	}
	in, _ := object(c.params["fields"])
	a := c.p.activities[i]
	a.title, a.text, a.updated = cmp.Or(text(in["TITLE"]), a.title), cmp.Or(text(in["DESCRIPTION"]), a.text), c.now
	if in["STATUS"] != nil {
		a.close(text(in["STATUS"]) == "5", c.now)
	}
	return params{"task": a.taskRow()}, nil
}

func taskComplete(c *call) (any, *restError) {
	i, refused := c.activity(number(c.params["taskId"]), true)
	if refused != nil {
		return nil, refused
	}
	c.p.activities[i].close(true, c.now)
	return params{"task": c.p.activities[i].taskRow()}, nil
}

// notify is im.notify.*.add; a notice with the same TAG replaces the earlier one.
func notify(c *call) (any, *restError) {
	n := notice{User: text(c.params["USER_ID"]), Text: text(c.params["MESSAGE"]), Tag: text(c.params["TAG"]), At: c.now}
	switch {
	case number(c.params["USER_ID"]) == 0:
		return nil, bad("USER_ID_EMPTY", "User ID can't be empty")
	case n.Text == "":
		return nil, bad("MESSAGE_EMPTY", "Message can't be empty")
	}
	if n.Tag != "" {
		c.p.notices = slices.DeleteFunc(c.p.notices, func(old notice) bool { return old.Tag == n.Tag && old.User == n.User })
	}
	n.ID = c.p.id()
	c.p.notices = append(c.p.notices, n)
	return n.ID, nil
}
