//! In which ingredients two recipes differ.

use std::collections::{HashMap, VecDeque};

use super::{Difference, IngredientChange, Value};
use crate::cache::recipe::{Ingredient, IngredientKind, Recipe};

/// In which ingredients two recipes differ; empty if and only if they are equal.
///
/// Ingredients of one kind and name correspond, the first of several to the first.
#[must_use]
pub fn compare(old: &Recipe, new: &Recipe) -> Vec<Difference> {
    let mut places: HashMap<_, VecDeque<usize>> = HashMap::new();
    for (place, ingredient) in old.ingredients().iter().enumerate() {
        places.entry(which(ingredient)).or_default().push_back(place);
    }
    let mut left: Vec<Option<&Ingredient>> = old.ingredients().iter().map(Some).collect();
    let mut differences = Vec::new();
    let mut furthest = 0;
    let mut add = |ingredient: &Ingredient, change| {
        differences.push(Difference { kind: ingredient.kind, name: ingredient.name.clone(), change });
    };
    for ingredient in new.ingredients() {
        let place = places.get_mut(&which(ingredient)).and_then(VecDeque::pop_front);
        let Some((place, before)) = place.and_then(|place| Some((place, left[place].take()?))) else {
            add(ingredient, IngredientChange::Added(Value::of(ingredient)));
            continue;
        };
        if before.digest != ingredient.digest {
            add(ingredient, IngredientChange::Changed { old: Value::of(before), new: Value::of(ingredient) });
        } else if place < furthest {
            add(ingredient, IngredientChange::Moved);
        }
        furthest = furthest.max(place);
    }
    for ingredient in left.into_iter().flatten() {
        add(ingredient, IngredientChange::Removed(Value::of(ingredient)));
    }
    differences
}

/// What ingredients correspond by.
fn which(ingredient: &Ingredient) -> (IngredientKind, &str) {
    (ingredient.kind, &ingredient.name)
}
