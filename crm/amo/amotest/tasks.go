package amotest

import "net/http"

var taskKeys = []string{"id", "text", "complete_till", "task_type_id", "entity_id", "entity_type", "responsible_user_id",
	"duration", "is_completed", "result", "created_by", "updated_by", "created_at", "updated_at"}

// showTask: the result of an open task is an empty array, of a done one an object.
func (c *call) showTask(t *task) map[string]any {
	var result any = []any{}
	if t.done {
		result = map[string]any{"text": t.result}
	}
	return map[string]any{"id": t.id, "created_by": t.createdBy, "updated_by": t.updatedBy, "created_at": t.createdAt,
		"updated_at": t.updatedAt, "responsible_user_id": t.responsible, "group_id": 0, "entity_id": orNull(t.lead),
		"entity_type": orNull(t.entity), "duration": t.duration, "is_completed": t.done, "task_type_id": t.kind,
		"text": t.text, "result": result, "complete_till": t.till, "account_id": c.ID, "_links": c.self("tasks/%d", t.id)}
}

func (c *call) taskSeen(t *task) bool {
	return c.user.admin || c.user.tasks == "A" || t.responsible == c.user.id
}

func (c *call) listTasks() *answer {
	var found []map[string]any
	for _, t := range c.tasks {
		if c.taskSeen(t) && c.passesFlag("is_completed", t.done) && c.passes("id", t.id) && c.passes("entity_id", t.lead) &&
			c.passes("entity_type", t.entity) && c.passes("responsible_user_id", t.responsible) &&
			c.passes("task_type", t.kind) && c.since("updated_at", t.updatedAt) {
			found = append(found, c.showTask(t))
		}
	}
	return c.page("tasks", found)
}

func (c *call) task(id int64) *task {
	for _, t := range c.tasks {
		if t.id == id && c.taskSeen(t) {
			return t
		}
	}
	return nil
}

func (c *call) getTask() *answer {
	if t := c.task(c.ids[0]); t != nil {
		return &answer{http.StatusOK, c.showTask(t)}
	}
	return empty
}

func (c *call) addTasks() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	if c.user.tasks == "D" {
		return forbidden()
	}
	var made []*task
	for _, e := range list {
		t := &task{kind: 1, responsible: c.user.id, createdBy: c.user.id, createdAt: c.at}
		c.editTask(t, e)
		if t.text == "" {
			e.bad(refusal("FieldMissing", "text"))
		}
		if t.till <= 0 {
			e.bad(refusal("FieldMissing", "complete_till"))
		}
		made = append(made, t)
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	for _, t := range made {
		t.id = c.next()
		c.tasks = append(c.tasks, t)
	}
	return c.tasksWritten(list, made)
}

func (c *call) tasksWritten(list []*elem, tasks []*task) *answer {
	out := make([]map[string]any, len(list))
	for i, t := range tasks {
		out[i] = map[string]any{"id": t.id, "updated_at": t.updatedAt, "request_id": list[i].request,
			"_links": c.self("tasks/%d", t.id)}
	}
	return c.written(http.StatusOK, "tasks", "tasks", out)
}

func (c *call) editTask(t *task, e *elem) {
	e.known(taskKeys...)
	t.updatedAt, t.updatedBy = c.at, c.user.id
	if s, ok := e.text("text"); ok {
		t.text = s
	}
	for key, target := range map[string]*int64{"complete_till": &t.till, "task_type_id": &t.kind, "duration": &t.duration,
		"responsible_user_id": &t.responsible, "entity_id": &t.lead} {
		if n, ok := e.integer(key); ok {
			*target = n
		}
	}
	if s, ok := e.text("entity_type"); ok {
		t.entity = s
	}
	if done, ok := e.flag("is_completed"); ok {
		t.done = done
	}
	if raw, there := e.data["result"]; there {
		m, _ := raw.(map[string]any)
		if text, ok := m["text"].(string); ok {
			t.result = text
		} else {
			e.bad(wrongType("result", "array"))
		}
	}
	c.checkTask(t, e)
}

func (c *call) checkTask(t *task, e *elem) {
	if t.kind != 1 && t.kind != 2 {
		e.bad(refusal("NotSupportedChoice", "task_type_id"))
	}
	if c.Account.user(t.responsible) == nil {
		e.bad(refusal("NotSupportedChoice", "responsible_user_id"))
	}
	if t.entity == "leads" {
		if l := c.lead(t.lead); l == nil || l.deleted {
			e.bad(refusal("NotSupportedChoice", "entity_id"))
		}
	} else if t.entity != "" && t.entity != "contacts" && t.entity != "companies" && t.entity != "customers" {
		e.bad(refusal("NotSupportedChoice", "entity_type"))
	}
}

func (c *call) patchTask() *answer {
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	t := c.task(c.ids[0])
	if t == nil {
		return refuse(http.StatusNotFound, "Entity not found")
	}
	next := *t
	c.editTask(&next, e)
	if refused := verdict(e); refused != nil {
		return refused
	}
	*t = next
	return &answer{http.StatusOK, map[string]any{"id": t.id, "updated_at": t.updatedAt, "_links": c.self("tasks/%d", t.id)}}
}

func (c *call) patchTasks() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	var targets, edited []*task
	for _, e := range list {
		id, _ := e.integer("id")
		t := c.task(id)
		if t == nil {
			e.bad(refusal("NotSupportedChoice", "id"))
			continue
		}
		next := *t
		c.editTask(&next, e)
		targets, edited = append(targets, t), append(edited, &next)
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	for i, t := range targets {
		*t = *edited[i]
	}
	return c.tasksWritten(list, targets)
}
