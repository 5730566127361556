//! `swapctl experiment`: clients are divided among releases that are there, until somebody closes it.

use clap::{Args, Subcommand};
use holdfast_control::client::new_operation;
use holdfast_control::wire::{
    Begun, CloseExperimentRequest, ExperimentStatus, Said, StartExperimentRequest, Status,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use swap_core::{AppName, ArmName};

use crate::cli::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow;
use crate::session::{Ended, Session};
use crate::told;
use crate::words::plain;

const START_USAGE: &str =
    "swapctl experiment start [OPTIONS] --arm <NAME=RELEASE:WEIGHT>... [APP] NAME";

/// Divide clients among releases that are there, and compare them
#[derive(Args, Debug)]
pub(crate) struct Experiment {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Start(Start),
    Status(Look),
    Close(Close),
}

/// Begin one between staged releases and the live one, each with a part of the clients
#[derive(Args, Debug)]
#[command(override_usage = START_USAGE)]
struct Start {
    #[command(flatten)]
    named: Named,
    /// A branch; at least two. The first one is what the others are compared with
    #[arg(long, value_name = "NAME=RELEASE:WEIGHT", required = true)]
    arm: Vec<String>,
}

/// How its arms compare
#[derive(Args, Debug)]
struct Look {
    #[command(flatten)]
    app: App,
}

/// End one; everybody gets the live release again, or the winner
#[derive(Args, Debug)]
#[command(override_usage = "swapctl experiment close [OPTIONS] [APP] NAME")]
struct Close {
    #[command(flatten)]
    named: Named,
    /// The arm whose release becomes the live one
    #[arg(long, value_name = "ARM")]
    winner: Option<ArmName>,
}

/// `[APP] NAME`: the app may be left out, the name may not.
#[derive(Args, Debug)]
struct Named {
    /// What the experiment is called; before it the app, which may be left out where there is only one
    #[arg(value_name = "NAME", num_args = 1..=2, required = true)]
    words: Vec<String>,
}

impl Named {
    /// The app if one was typed, and the experiment.
    fn meant(self) -> Result<(App, ArmName), Failure> {
        let wrong = |error: swap_core::BadName| {
            let hint = "swapctl experiment start [APP] NAME --arm NAME=RELEASE:WEIGHT";
            Failure::usage(error.to_string(), hint)
        };
        let mut words = self.words.into_iter();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let (app, name) = match second {
            Some(name) => (Some(first), name),
            None => (None, first),
        };
        let app: Option<AppName> = app.map(|app| app.parse()).transpose().map_err(wrong)?;
        Ok((App::named(app), name.parse().map_err(wrong)?))
    }
}

impl Experiment {
    pub(crate) async fn run(self, session: &Session) -> Ended {
        match self.verb {
            Verb::Start(verb) => verb.run(session).await,
            Verb::Status(verb) => verb.run(session).await,
            Verb::Close(verb) => verb.run(session).await,
        }
    }

    /// The app that was typed, where that is known before it is read.
    pub(crate) fn app(&self) -> Option<&AppName> {
        match &self.verb {
            Verb::Status(verb) => verb.app.typed(),
            Verb::Start(_) | Verb::Close(_) => None,
        }
    }
}

impl Start {
    async fn run(self, session: &Session) -> Ended {
        let (app, name) = self.named.meant()?;
        let request = StartExperimentRequest {
            name: Some(name),
            arm: self.arm,
            operation: Some(new_operation()),
        };
        session
            .command(&app.path("experiment/start"), &request)
            .await
    }
}

impl Look {
    async fn run(self, session: &Session) -> Ended {
        let status: Status = session.look("/v1/status").await?;
        let typed = self.app.typed();
        if let Some(wanted) = typed.filter(|wanted| !status.apps.contains_key(*wanted)) {
            let what = format!("there is no app {:?}", wanted.as_str());
            return Err(Failure::usage(what, "swapctl status"));
        }
        let apps = status.apps.into_iter();
        let apps = apps.filter(|(name, _)| typed.is_none_or(|wanted| wanted == name));
        let on: Vec<(AppName, ExperimentStatus)> = apps
            .filter_map(|(name, app)| Some((name, app.experiment?)))
            .collect();
        let mut value = Map::new();
        let mut text = String::new();
        for (name, experiment) in &on {
            let shown = serde_json::to_value(experiment).unwrap_or(Value::Null);
            value.insert(name.to_string(), shown);
            text.push_str(&told::experiment::text(name, experiment));
        }
        if on.is_empty() {
            text.push_str("no experiment is on");
        }
        session.output.result(&value, &text)?;
        Ok(Exit::Done)
    }
}

/// How closing is answered.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    /// The winner becomes the live release.
    Begun(Begun),
    /// That was all.
    Said(Said),
}

impl Close {
    async fn run(self, session: &Session) -> Ended {
        let (app, name) = self.named.meant()?;
        let operation = new_operation();
        let request = CloseExperimentRequest {
            name: Some(name),
            winner: self.winner,
            operation: Some(operation),
            detach: true,
        };
        let path = app.path("experiment/close");
        let answer: Result<Answer, _> = session.client.post(&path, &request).await;
        match answer.map_err(Failure::Command)? {
            Answer::Said(said) => {
                session.output.result(&said, &plain(&said.done))?;
                Ok(Exit::Done)
            }
            Answer::Begun(Begun { operation }) => {
                let receipt = follow::begun(session, &operation).await?;
                follow::write(session, &receipt)
            }
        }
    }
}
