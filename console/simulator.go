package console

import (
	"errors"
	"net/http"

	"github.com/rs/zerolog"
)

func (s *Server) simulator(w http.ResponseWriter, _ *http.Request) { answer(w, s.flowState()) }

func (s *Server) flowState() Simulator {
	st := s.cfg.Simulator.State()
	flow := Simulator{
		Rate: st.Rate, Paused: st.Paused, Remembered: st.Remembered, Fills: st.Fills, Refused: st.Refused,
		None: st.None, Skipped: st.Skipped,
	}
	if s.cfg.Script != nil {
		p := s.cfg.Script()
		flow.Script = &Script{
			Steps: p.Steps, Done: p.Ended, Running: p.Running, Fills: p.Fills, Busts: p.Busts, Refused: p.Refused,
			Skipped: p.Skipped,
		}
	}
	return flow
}

func (s *Server) setSimulator(w http.ResponseWriter, r *http.Request) {
	var body changeFlow
	err := decodeBody(w, r, &body)
	if err == nil && body.Rate == nil && body.Paused == nil {
		err = errors.New(`the rate is missing: write {"rate": 2000}, or {"paused": true}`)
	}
	if err == nil {
		err = s.cfg.Simulator.Change(body.Rate, body.Paused)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.cfg.Log.Info().Func(func(e *zerolog.Event) {
		if body.Rate != nil {
			e.Float64("rate", *body.Rate)
		}
		if body.Paused != nil {
			e.Bool("paused", *body.Paused)
		}
	}).Func(signedBy(r)).Msg("simulator rate changed")
	s.simulator(w, r)
}
