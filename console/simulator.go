package console

import (
	"errors"
	"net/http"
)

func (s *Server) simulator(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Simulator.State()
	answer(w, Simulator{Rate: st.Rate, Fills: st.Fills, Refused: st.Refused, None: st.None, Skipped: st.Skipped})
}

func (s *Server) setSimulator(w http.ResponseWriter, r *http.Request) {
	var body setRate
	err := decodeBody(w, r, &body)
	if err == nil && body.Rate == nil {
		err = errors.New(`the rate is missing: write {"rate": 2000}`)
	}
	if err == nil {
		err = s.cfg.Simulator.SetRate(*body.Rate)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	s.cfg.Log.Info().Float64("rate", *body.Rate).Func(signedBy(r)).Msg("simulator rate changed")
	s.simulator(w, r)
}
