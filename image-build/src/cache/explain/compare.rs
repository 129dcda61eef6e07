//! In which ingredients two recipes differ.

use super::{Difference, IngredientChange, Value};
use crate::cache::recipe::{Ingredient, Recipe};

/// In which ingredients two recipes differ; empty if and only if they are equal.
///
/// Ingredients of one kind and name correspond, the first of several to the first.
#[must_use]
pub fn compare(old: &Recipe, new: &Recipe) -> Vec<Difference> {
    let mut left: Vec<Option<&Ingredient>> = old.ingredients().iter().map(Some).collect();
    let mut differences = Vec::new();
    let mut furthest = 0;
    let add = |differences: &mut Vec<Difference>, ingredient: &Ingredient, change| {
        differences.push(Difference { kind: ingredient.kind, name: ingredient.name.clone(), change });
    };
    for ingredient in new.ingredients() {
        let is_it = |other: &Option<&Ingredient>| {
            other.is_some_and(|other| other.kind == ingredient.kind && other.name == ingredient.name)
        };
        let Some(place) = left.iter().position(is_it) else {
            add(&mut differences, ingredient, IngredientChange::Added(Value::of(ingredient)));
            continue;
        };
        let Some(before) = left[place].take() else { continue };
        if before.digest != ingredient.digest {
            let (old, new) = (Value::of(before), Value::of(ingredient));
            add(&mut differences, ingredient, IngredientChange::Changed { old, new });
        } else if place < furthest {
            add(&mut differences, ingredient, IngredientChange::Moved);
        }
        furthest = furthest.max(place);
    }
    for ingredient in left.into_iter().flatten() {
        add(&mut differences, ingredient, IngredientChange::Removed(Value::of(ingredient)));
    }
    differences
}
