package amotest

import "net/http"

func (c *call) showStatus(p *pipeline, s status) map[string]any {
	return map[string]any{"id": s.id, "name": s.name, "sort": s.sort, "is_editable": s.editable, "pipeline_id": p.id,
		"color": s.color, "type": s.kind, "account_id": c.ID, "_links": c.self("leads/pipelines/%d/statuses/%d", p.id, s.id)}
}

func (c *call) showStatuses(p *pipeline) []map[string]any {
	var out []map[string]any
	for _, s := range p.statuses {
		out = append(out, c.showStatus(p, s))
	}
	return out
}

func (c *call) showPipeline(p *pipeline) map[string]any {
	return map[string]any{"id": p.id, "name": p.name, "sort": p.sort, "is_main": p.main, "is_unsorted_on": true,
		"is_archive": false, "account_id": c.ID, "_links": c.self("leads/pipelines/%d", p.id),
		"_embedded": map[string]any{"statuses": c.showStatuses(p)}}
}

func (c *call) listPipelines() *answer {
	var all []map[string]any
	for _, p := range c.pipelines {
		all = append(all, c.showPipeline(p))
	}
	return c.total("pipelines", all, "leads/pipelines")
}

func (c *call) getPipeline() *answer {
	if p := c.pipeline(c.ids[0]); p != nil {
		return &answer{http.StatusOK, c.showPipeline(p)}
	}
	return refuse(http.StatusNotFound, "Entity not found")
}

func (c *call) listStatuses() *answer {
	if p := c.pipeline(c.ids[0]); p != nil {
		return c.total("statuses", c.showStatuses(p), "leads/pipelines/%d/statuses", p.id)
	}
	return refuse(http.StatusNotFound, "Entity not found")
}

func (c *call) getStatus() *answer {
	if p := c.pipeline(c.ids[0]); p != nil {
		if s := p.status(c.ids[1]); s != nil {
			return &answer{http.StatusOK, c.showStatus(p, *s)}
		}
	}
	return refuse(http.StatusNotFound, "Entity not found")
}
